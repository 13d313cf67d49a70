"""The rules for each field of a usage event."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, get_args

import pytest

from billing.events import fast_path
from billing.events.parsing import read, read_fields
from billing.events.usage_event import (
    FIELDS,
    LATEST_AHEAD,
    NO_TOKENS,
    STATUSES,
    EventError,
    Tokens,
    UsageEvent,
)
from billing.json_decoding import decode
from products import agent_types

pytestmark = pytest.mark.once

NOW = datetime(2026, 3, 17, 12, tzinfo=UTC)
BASE: dict[str, Any] = {"eventId": "e1", "occurredAt": "2026-03-01T00:00:00Z", "runId": "r1"}
REFUND = {"kind": "refund", "jobId": "j1", "costDollars": "1"}
JOB = {"kind": "job", "jobId": "j1"}
GRANT = {"kind": "grant", "costDollars": "1", "runId": None}
PURCHASE = {**GRANT, "kind": "purchase"}

IDS = ("eventId", "runId", "jobId", "reservationId")
COUNTS = ("inputTokens", "cacheReadTokens", "cacheWriteTokens", "outputTokens")
RUN_AND_JOB = {
    "runId": "r1",
    "trigger": "push",
    "runStatus": "failed",
    "runStartedAt": BASE["occurredAt"],
    "runFinishedAt": BASE["occurredAt"],
    "jobId": "j1",
    "agentType": "testing",
    "jobStatus": "failed",
    "jobStartedAt": BASE["occurredAt"],
    "jobFinishedAt": BASE["occurredAt"],
    "model": "gpt-4o",
    "reservationId": "s1",
}
INSTANTS = ("occurredAt", "runStartedAt", "runFinishedAt", "jobStartedAt", "jobFinishedAt")


def event(**fields: Any) -> UsageEvent:
    return read({**BASE, **fields}, now=NOW, credits_per_dollar=100)


def refusal(**fields: Any) -> EventError:
    with pytest.raises(EventError) as caught:
        event(**fields)
    return caught.value


# Kinds


def test_a_minimal_event_is_a_deduction_on_a_job_of_its_own() -> None:
    usage = event()
    assert (usage.kind, usage.job_id, usage.tokens, usage.stated_nanos) == (
        "deduction",
        "e1",
        NO_TOKENS,
        None,
    )
    assert (usage.trigger, usage.run_status, usage.agent_type, usage.job_status, usage.model) == ("",) * 5


def test_none_means_not_reported() -> None:
    nones = dict.fromkeys(name for name in FIELDS if name not in BASE)
    assert event(**nones) == event()
    assert event(kind=None) == event()


@pytest.mark.parametrize("kind", ["Deduction", "", "spend", 1, True, ["deduction"], {}])
def test_an_unknown_kind_is_rejected(kind: Any) -> None:
    error = refusal(kind=kind)
    assert error.field == "kind"
    assert "deduction, refund, purchase, grant, job" in error.reason


@pytest.mark.parametrize("missing", ["eventId", "occurredAt", "runId"])
@pytest.mark.parametrize("kind", [{}, REFUND])
def test_deductions_and_refunds_need_an_id_an_instant_and_a_run(missing: str, kind: dict[str, Any]) -> None:
    error = refusal(**{**kind, missing: None})
    assert (error.field, error.reason) == (missing, "is required")


def test_a_refund_must_name_its_job() -> None:
    assert refusal(**{**REFUND, "jobId": None}).field == "jobId"
    assert event(**REFUND).job_id == "j1"


@pytest.mark.parametrize("kind", [REFUND, PURCHASE, GRANT])
def test_only_deductions_may_omit_the_cost(kind: dict[str, Any]) -> None:
    assert refusal(**{**kind, "costDollars": None}).field == "costDollars"
    assert event(**{**kind, "costDollars": None, "credits": 5}).stated_nanos == 50_000_000


@pytest.mark.parametrize("count", [*COUNTS])
@pytest.mark.parametrize("kind", [REFUND, PURCHASE, GRANT, JOB])
def test_only_deductions_have_tokens(kind: dict[str, Any], count: str) -> None:
    assert refusal(**kind, **{count: 1}).field == count
    assert event(**kind, **{count: 0}).tokens == NO_TOKENS


@pytest.mark.parametrize("field", RUN_AND_JOB)
@pytest.mark.parametrize("kind", [PURCHASE, GRANT])
def test_incoming_credits_have_no_run_or_job(kind: dict[str, Any], field: str) -> None:
    assert refusal(**{**kind, field: RUN_AND_JOB[field]}).field == field
    assert event(**kind).run_id == event(**kind).job_id == ""


def test_a_job_event_needs_its_run_and_job_but_no_id() -> None:
    assert event(**JOB, eventId=None).event_id == ""
    assert refusal(**{**JOB, "jobId": None}).field == "jobId"
    assert refusal(**JOB, runId=None).field == "runId"
    assert refusal(**JOB, occurredAt=None).field == "occurredAt"


@pytest.mark.parametrize(
    ("field", "value"),
    [("costDollars", "1"), ("credits", 1), ("model", "gpt-4o"), ("costDollars", Decimal("0.1"))],
)
def test_a_job_event_has_no_cost_and_no_model(field: str, value: Any) -> None:
    assert refusal(**JOB, **{field: value}).field == field


@pytest.mark.parametrize(
    ("field", "value"), [("inputTokens", False), ("model", 0), ("costDollars", False), ("costDollars", "x")]
)
def test_a_job_events_fields_are_checked_like_those_of_other_events(field: str, value: Any) -> None:
    assert refusal(**JOB, **{field: value}).field == field


# Unknown fields


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("input_tokens", "inputTokens"),
        ("eventID", "eventId"),
        ("cost", "costDollars"),
        ("runid", "runId"),
        ("occured_at", "occurredAt"),
        ("cacheWrite1HTokens", "cacheWrite1hTokens"),
    ],
)
def test_an_unknown_field_is_rejected_with_a_suggestion(name: str, nearest: str) -> None:
    error = refusal(**{name: 1})
    assert error.field == name
    assert error.reason.startswith("unknown field")
    if name != "cost":  # too short to be sure to resemble a known field
        assert nearest in error.reason


def test_a_field_unlike_all_others_is_rejected_without_a_suggestion() -> None:
    assert refusal(zzzzzz=None).reason == "unknown field"
    assert "\n" not in str(refusal(**{"run\nId\x1b[31m": 1}))
    assert len(refusal(**{"x" * 10_000: 1}).field) <= 80


# Ids


@pytest.mark.parametrize("field", IDS)
def test_ids_have_1_to_200_characters(field: str) -> None:
    assert refusal(**{field: ""}).field == field
    assert refusal(**{field: "x" * 201}).field == field
    assert refusal(**{field: "🧾" * 201}).field == field
    event(**{field: "🧾" * 200})
    event(**{field: "x"})


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize("bad", ["\0", "a\0b", "\n", "a\x1fb", "a\x1eb", "\x7f", "\x80", "\x9f", "tab\t"])
def test_ids_have_no_control_characters(field: str, bad: str) -> None:
    assert refusal(**{field: bad}).field == field


@pytest.mark.parametrize("field", IDS)
@pytest.mark.parametrize("bad", [1, 1.5, True, False, [], {}, b"x", Decimal(1)])
def test_ids_are_text(field: str, bad: Any) -> None:
    assert refusal(**{field: bad}).field == field


@pytest.mark.parametrize("field", [*IDS, "trigger", "agentType", "model"])
@pytest.mark.parametrize("bad", ["\ud800", "a\udcffb", "\udfff\ud800"])
def test_lone_surrogates_are_rejected(field: str, bad: str) -> None:
    error = refusal(**{field: bad})
    assert error.field == field
    str(error).encode()


def test_ids_are_stored_unchanged() -> None:
    odd = " É\u0065\u0301 \u2028\u202e'\"\\%_/ "
    usage = event(eventId=odd, runId=odd, jobId=odd, reservationId=odd)
    assert usage.event_id == usage.run_id == usage.job_id == usage.reservation_id == odd


@pytest.mark.parametrize("kind", [{}, REFUND, JOB])
def test_a_reservation_is_not_part_of_the_content(kind: dict[str, Any]) -> None:
    usage = event(**kind, reservationId="s1")
    assert (usage.reservation_id, event(**kind).reservation_id) == ("s1", "")
    assert usage.content == event(**kind).content


# Other text


@pytest.mark.parametrize(("field", "longest"), [("trigger", 100), ("model", 200)])
def test_text_has_a_maximum_length_and_no_control_characters(field: str, longest: int) -> None:
    event(**{field: "x" * longest})
    assert refusal(**{field: "x" * (longest + 1)}).field == field
    for bad in ("\0", "a\nb", "\x7f", 1, True):
        assert refusal(**{field: bad}).field == field


def test_an_agent_type_is_rejected_only_if_it_cannot_be_stored() -> None:
    assert event(agentType="  x\ty " * 1000).agent_type
    assert refusal(agentType="a\0").field == "agentType"
    assert refusal(agentType=1).field == "agentType"


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("  code_review  ", "code_review"),
        ("Code-Review!", "Code-Review!"),
        ("x" * 101, "x" * 100),
        ("x" * 99 + " y", "x" * 99),
        ("🤖" * 101, "🤖" * 100),
        ("   ", ""),
    ],
)
def test_an_agent_types_slug_is_its_trimmed_and_shortened_name(name: str, slug: str) -> None:
    assert agent_types.slug_of(name) == slug


@pytest.mark.parametrize(
    ("slug", "label"),
    [
        ("code_review", "Code review"),
        ("ProgressTrackingAgent", "Progress tracking agent"),
        ("api-QA", "Api QA"),
        ("__", "__"),
        ("ui_ux", "UI/UX"),
    ],
)
def test_a_new_agent_type_gets_a_readable_label_and_a_stable_colour(slug: str, label: str) -> None:
    assert agent_types.label_and_color(slug)[0] == label
    assert agent_types.label_and_color(slug) == agent_types.label_and_color(slug)


def test_each_known_agent_type_has_its_own_colour() -> None:
    assert len({color for _, color in agent_types.KNOWN.values()}) == len(agent_types.KNOWN) == 14


@pytest.mark.parametrize("field", ["runStatus", "jobStatus"])
def test_a_status_is_one_of_four(field: str) -> None:
    for status in ("running", "succeeded", "failed", "cancelled"):
        event(**{field: status})
    for bad in ("", "done", "Failed", "canceled", 1, True, []):
        assert refusal(**{field: bad}).field == field


# Instants


@pytest.mark.parametrize("field", INSTANTS)
@pytest.mark.parametrize(
    "bad",
    [
        "2026-03-01T00:00:00",  # no offset
        "2026-03-01",
        "2026-03-01T00Z",
        "20260301T000000Z",
        "2026-02-29T00:00:00Z",
        "2026-03-01T24:00:01Z",
        "2026-03-01T23:59:60Z",
        "2026-03-01T00:00:00+24:00",
        "2026-03-01T00:00:00+02:60",
        "2026-03-01T00:00:00 +02:00",
        "2026-W09-1T00:00:00Z",
        "٢٠٢٦-03-01T00:00:00Z",
        " 2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00Z\n",
        "yesterday",
        "",
        1_772_000_000,
        True,
        Decimal("1.5"),
    ],
)
def test_an_instant_is_iso_8601_with_an_offset(field: str, bad: Any) -> None:
    assert refusal(**{field: bad}).field == field


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T00:00:00Z",
        "2026-03-01T00:00:00z",
        "2026-03-01t00:00:00Z".upper(),
        "2026-03-01 00:00:00+00:00",
        "2026-03-01T00:00Z",
        "2026-03-01T00:00:00.000000000Z",
        "2026-03-01T00:00:00,000Z",
        "2026-03-01T14:00:00+14:00",
        "2026-02-28T13:00:00-1100",
        "2026-03-01T02:00:00+02",
        "2026-03-01T00:00:00-00:00",
        "2026-03-01T05:45:00.0+05:45",
    ],
)
def test_instants_in_every_valid_form_are_converted_to_utc(text: str) -> None:
    at = event(occurredAt=text).occurred_at
    assert at == datetime(2026, 3, 1, tzinfo=UTC)
    assert at.tzinfo is UTC


def test_an_instant_is_truncated_to_microseconds() -> None:
    assert event(occurredAt="2026-03-01T00:00:00.1234569Z").occurred_at.microsecond == 123456
    assert event(occurredAt="2026-02-28T23:59:59.999999999Z").occurred_at.day == 28


def test_a_datetime_is_converted_to_utc_like_text() -> None:
    at = datetime(2026, 3, 1, 2, tzinfo=timezone(timedelta(hours=2)))
    usage = event(occurredAt=at, jobStartedAt=at)
    assert usage == event(occurredAt="2026-03-01T00:00:00Z", jobStartedAt="2026-03-01T00:00:00Z")
    assert usage.occurred_at.tzinfo is UTC
    assert usage.job_started_at is not None
    assert usage.job_started_at.tzinfo is UTC


@pytest.mark.parametrize("field", INSTANTS)
def test_instants_lie_between_2000_and_a_day_from_now(field: str) -> None:
    event(**{field: "2000-01-01T00:00:00Z"})
    event(**{field: "2026-03-18T12:00:00Z"})
    for bad in (
        "1999-12-31T23:59:59.999999Z",
        "2000-01-01T00:00:00+00:01",
        "2026-03-18T12:00:00.000001Z",
        "0001-01-01T00:00:00+14:00",
        "9999-12-31T23:59:59-14:00",
    ):
        assert refusal(**{field: bad}).field == field


# Token counts


@pytest.mark.parametrize("field", COUNTS)
@pytest.mark.parametrize("good", [0, 1, 10**12, Decimal(5), Decimal("5.0"), Decimal("1E+12")])
def test_counts_are_whole_numbers(field: str, good: Any) -> None:
    assert event(**{field: good}).tokens.total == int(good)


@pytest.mark.parametrize("field", [*COUNTS, "cacheWrite1hTokens"])
@pytest.mark.parametrize(
    "bad",
    [
        *(-1, 10**12 + 1, 10**100, True, False, "5", "", 1.0, [], {}),
        *(Decimal("1e4000"), Decimal("1e9999999"), Decimal("-1e9999999")),
        *(Decimal("0.5"), Decimal("-1"), Decimal("1E+400"), Decimal("1E-400")),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), float("nan")),
    ],
)
def test_other_values_are_not_counts(field: str, bad: Any) -> None:
    assert refusal(**{field: bad}).field == field


def test_one_hour_cache_writes_are_part_of_the_cache_writes() -> None:
    tokens = event(
        inputTokens=1, cacheReadTokens=20, cacheWriteTokens=300, cacheWrite1hTokens=300, outputTokens=4000
    ).tokens
    assert tokens == Tokens(input=1, cache_read=20, cache_write=300, cache_write_1h=300, output=4000)
    assert (tokens.all_input, tokens.total) == (321, 4321)
    assert refusal(cacheWriteTokens=2, cacheWrite1hTokens=3).field == "cacheWrite1hTokens"
    assert refusal(cacheWrite1hTokens=1).field == "cacheWrite1hTokens"


# Costs


@pytest.mark.parametrize("amount", [1, "1", "1.00", Decimal("1.0"), "1e0", "10E-1", Decimal("1E+0")])
def test_equal_amounts_in_different_forms_are_equal(amount: Any) -> None:
    assert event(costDollars=amount).content == event(costDollars=1).content
    assert event(credits=amount).stated_nanos == 10_000_000


@pytest.mark.parametrize(
    ("amount", "nanos"),
    [
        ("0.0000000005", 0),
        ("0.0000000015", 2),
        ("0", 0),
        ("-0", 0),
        ("1000000", 10**15),
        ("1e-400", 0),
        (0, 0),
    ],
)
def test_a_stated_cost_is_rounded_to_nano_dollars(amount: Any, nanos: int) -> None:
    assert event(costDollars=amount).stated_nanos == nanos


@pytest.mark.parametrize("field", ["costDollars", "credits"])
@pytest.mark.parametrize(
    "bad",
    [
        *(
            "NaN",
            "nan",
            "Infinity",
            "-Infinity",
            "sNaN",
            "",
            " 1",
            "1 ",
            "1,5",
            "1_000",
            "0x1",
            "$1",
            ".5",
            "+1",
        ),
        *("1e400", "1e999999999999999999999999", "-1", "-0.0000000001", "١"),
        *(-1, 10**100, True, False, 1.0, float("nan"), [], {}),
        *(Decimal("NaN"), Decimal("sNaN"), Decimal("Infinity"), Decimal("1E+400"), Decimal("-1E-400")),
    ],
)
def test_other_values_are_not_amounts(field: str, bad: Any) -> None:
    assert refusal(**{field: bad}).field == field


def test_a_cost_is_at_most_a_million_dollars() -> None:
    event(costDollars=1_000_000, kind="deduction")
    event(credits=100_000_000)
    assert refusal(costDollars="1000000.000000001").field == "costDollars"
    assert refusal(costDollars=1_000_001).field == "costDollars"
    assert refusal(credits="100000000.1").field == "credits"


def test_an_amount_with_thousands_of_digits_is_checked_like_any_other() -> None:
    assert refusal(costDollars=10**5000).field == "costDollars"
    assert refusal(costDollars="1" * 5000).field == "costDollars"
    assert event(costDollars="0." + "1" * 5000).stated_nanos == 111_111_111


def test_a_cost_may_be_stated_only_once() -> None:
    assert refusal(costDollars=1, credits=1).field == "credits"
    assert refusal(costDollars=0, credits=0).field == "credits"


def test_json_numbers_are_read_as_decimals() -> None:
    fields = decode(b'{"costDollars": 0.1000000000000000055511151231257827, "inputTokens": 1.0}')
    costly = event(**fields)
    assert (costly.stated_nanos, costly.tokens.input) == (100_000_000, 1)
    assert event(**decode(b'{"costDollars": 0.0000000015}')).stated_nanos == 2
    assert refusal(**decode(b'{"costDollars": 1e400}')).field == "costDollars"


# Content


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("kind", "refund"),
        ("occurredAt", "2026-03-01T00:00:00.000001Z"),
        ("runId", "R1"),
        ("jobId", "j2"),
        ("model", "gpt-4"),
        ("inputTokens", 1),
        ("cacheReadTokens", 1),
        ("cacheWriteTokens", 1),
        ("outputTokens", 1),
        ("costDollars", "1.000000001"),
        ("costDollars", None),
    ],
)
def test_what_the_ledger_records_is_content(field: str, value: Any) -> None:
    fields = {"jobId": "j1", "model": "gpt-4o", "costDollars": "1"}
    assert event(**{**fields, field: value}).content != event(**fields).content


@pytest.mark.parametrize("field", [name for name in RUN_AND_JOB if name not in ("runId", "jobId", "model")])
def test_reports_on_run_and_job_are_not_content(field: str) -> None:
    assert event(**{field: RUN_AND_JOB[field]}).content == event().content


def test_notation_and_defaults_are_not_content() -> None:
    plain = event(jobId="e1", inputTokens=0, kind="deduction", model="")
    assert plain.content == event(occurredAt="2026-03-01T02:00:00+02:00").content
    assert event(costDollars=0).content != event().content


ODD = {
    "eventId": ("", "x" * 200, "x" * 201, "a\u00a0b", "a\nb", "\ud800", 7, None),
    "occurredAt": (NOW, "2026-03-01T10:00:00+02:00", "2026-03-01t10:00:00Z", "2026-03-01", 7, None),
    "kind": (None, "deduction", "refund", "job", "gift"),
    "jobId": ("j2", "", None, 7),
    "agentType": ("", "a\tb", "a\0b", "x" * 300, None, 7),
    "trigger": ("", "x" * 100, "x" * 101, "a\nb"),
    "jobStatus": ("running", "", "done", None),
    "jobFinishedAt": ("2026-03-01T10:00:00Z", "soon", NOW + timedelta(days=3)),
    "model": ("", "x" * 200, "x" * 201, None),
    "inputTokens": (0, 10**12, 10**12 + 1, -1, True, Decimal("3.0"), Decimal("3.5"), "3", None),
    "cacheWriteTokens": (5, None),
    "cacheWrite1hTokens": (5, 6),
    "costDollars": ("1", Decimal("0.1234567895"), 3, "-1", "1e400", "", None, 10**9),
    "credits": ("5", None, "x"),
    "reservationId": ("", "r", "a\nb"),
    "callIds": ([], ["a", "a"], ["a\n"], [""], "a", [1], ["a"] * 5),
    "surprise": (1,),
}


def test_the_fast_path_knows_every_status() -> None:
    assert get_args(fast_path.StatusName) == STATUSES


def test_the_fast_path_reads_the_same_as_the_field_by_field_reader() -> None:
    fast = 0
    for field, values in ODD.items():
        for value in values:
            fields = {**BASE, **RUN_AND_JOB, field: value}
            if usage := fast_path.read(fields, NOW + LATEST_AHEAD, 100):
                assert usage == read_fields(fields, NOW + LATEST_AHEAD, 100)
                fast += 1
    assert fast >= 25
    assert fast_path.read(BASE, NOW + LATEST_AHEAD, 100) == read_fields(BASE, NOW + LATEST_AHEAD, 100)


# Call ids


@pytest.mark.parametrize(
    ("ids", "read_as"),
    [
        ([], ()),
        (["a"], ("a",)),
        (["b", "a", "b"], ("b", "a")),
        (["A", "a", " a", "a "], ("A", "a", " a", "a ")),
        (["é" * 512], ("é" * 512,)),
    ],
)
def test_call_ids_are_kept_exactly_and_once_each(ids: list[str], read_as: tuple[str, ...]) -> None:
    assert event(callIds=ids).call_ids == read_as


@pytest.mark.parametrize(
    ("ids", "field", "reason"),
    [
        ("a", "callIds", "list"),
        ({"a": 1}, "callIds", "list"),
        (["a", "b", "c", "d", "e"], "callIds", "at most 4"),
        (["a" * 513], "callIds[0]", "512"),
        (["a", ""], "callIds[1]", "1 to 512"),
        (["a", "b\n"], "callIds[1]", "control"),
        (["a", "b\0"], "callIds[1]", "control"),
        (["a", 7], "callIds[1]", "text"),
        (["a", None], "callIds[1]", "required"),
        (["\ud800"], "callIds[0]", "Unicode"),
    ],
)
def test_wrong_call_ids_are_rejected_by_name(ids: Any, field: str, reason: str) -> None:
    error = refusal(callIds=ids)
    assert error.field == field
    assert reason in error.reason


@pytest.mark.parametrize("kind", [REFUND, JOB, GRANT, PURCHASE], ids=lambda kind: kind["kind"])
def test_only_deductions_have_call_ids(kind: dict[str, Any]) -> None:
    assert event(**kind, callIds=[]) == event(**kind)
    assert refusal(**kind, callIds=["a"]).field == "callIds"


def test_call_ids_are_not_content() -> None:
    assert event(callIds=["a"]).content == event().content
