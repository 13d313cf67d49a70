"""Which model call a record of LiteLLM is about.

LiteLLM gives each call an id (`litellm_call_id`), and passes on the provider's id of the response. A provider
may give none, or one to several calls; a client may send the former, one for all its calls. So it takes both
to tell calls apart. The call is named by the provider's id, which other senders know too, and by LiteLLM's
where there is no other.
"""

from datetime import datetime
from typing import Any

import msgspec

from billing.events.usage_event import CALL_ID_LENGTH, ID_LENGTH
from billing.sources.foreign_ids import foreign_id

_CACHE_HIT = "_cache_hit"
"""What LiteLLM appends to the id of the response that it repeats, followed by the time."""


class CallIdentity(msgspec.Struct, frozen=True):
    event_id: Any
    request_id: Any
    """The id of the call's job, and of its run if no session is reported."""
    call_ids: tuple[str, ...]
    gateway_id: str
    earlier_ids: tuple[str, ...] = ()
    """The event id that earlier versions of this product gave the record: the response's, if it is valid."""


def identify(given: Any, call_id: Any, start: Any) -> CallIdentity:
    """`given` is a spend log's `request_id` or a payload's `id`; `call_id` is LiteLLM's, if it gave one."""
    response = given if isinstance(given, str) and given not in ("", "None") else ""
    if isinstance(call_id, str) and call_id:
        return _with_call_id(response, call_id, start)
    id_ = foreign_id(given, ID_LENGTH) if isinstance(given, str) and given else given
    call_ids = (foreign_id(response, CALL_ID_LENGTH),) if response and _CACHE_HIT not in response else ()
    return CallIdentity(id_, id_, call_ids, "")


def _with_call_id(response: str, call_id: str, start: Any) -> CallIdentity:
    gateway = foreign_id(call_id, CALL_ID_LENGTH)
    call_ids: tuple[str, ...]
    if response in ("", call_id):  # as of a failed call, whose retries have the same id
        instant = f"@{start.timestamp() * 1000:.0f}" if isinstance(start, datetime) else ""
        event_id, request = f"{call_id}{instant}", call_id
        call_ids = (gateway,)
    elif _CACHE_HIT in response:
        event_id = request = response
        # The client's span of this call has the repeated response's id. The call that the provider answered
        # has another id of the gateway, by which the two stay apart.
        repeated = response.rpartition(_CACHE_HIT)[0]
        call_ids = (gateway, foreign_id(repeated, CALL_ID_LENGTH)) if repeated else (gateway,)
    else:
        event_id, request = f"{response}@{call_id}", response
        call_ids = (foreign_id(response, CALL_ID_LENGTH),)
    was_valid = response != "" and foreign_id(response, ID_LENGTH) == response
    earlier = (response,) if was_valid and response != event_id else ()
    return CallIdentity(
        foreign_id(event_id, ID_LENGTH), foreign_id(request, ID_LENGTH), call_ids, gateway, earlier
    )


def is_cache_hit(record: dict[str, Any]) -> bool:
    hit = record.get("cache_hit")
    given = record.get("request_id") or record.get("id")
    return hit is True or str(hit).lower() == "true" or (isinstance(given, str) and _CACHE_HIT in given)
