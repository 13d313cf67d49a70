"""An alert as a signed POST of JSON."""

import hmac
import json

from django.utils import timezone

from billing.alerts import Undelivered, channels, safe_http
from billing.alerts.messages import payload
from billing.models.alerts import AlertDelivery


def send(delivery: AlertDelivery) -> None:
    """Raises `Undelivered` unless the receiver answers with a 2xx status."""
    body = json.dumps(payload(delivery), ensure_ascii=False).encode()
    timestamp = int(timezone.now().timestamp())
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "aicost",
        "X-AICost-Delivery": str(delivery.pk),
        "X-AICost-Timestamp": str(timestamp),
        "X-AICost-Signature": "sha256="
        + signature(channels.signing_secret(delivery.project), timestamp, body),
    }
    status = safe_http.post(delivery.target, body, headers)
    if 300 <= status < 400:
        raise Undelivered(f"It answered {status}; redirects are not followed.")
    if not 200 <= status < 300:
        raise Undelivered(f"It answered {status}.")


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """HMAC-SHA256, in hex, over the timestamp, a dot and the body as it was sent."""
    return hmac.new(secret.encode(), f"{timestamp}.".encode() + body, "sha256").hexdigest()
