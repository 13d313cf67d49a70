"""Faults that no page may have in any test: policy violations, requests to other hosts, uncaught errors."""

from typing import Any

LOG_VIOLATIONS = """document.addEventListener("securitypolicyviolation", (event) => console.error(
    `securitypolicyviolation: ${event.violatedDirective} by ${event.blockedURI || "inline"}`))"""

VIOLATIONS = ("securitypolicyviolation", "content security policy")
"""In messages of the listener above, and of Chromium, which also covers documents without scripts."""


class Watch:
    """Collects the faults of every page in the browser contexts that it watches."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.faults: list[str] = []

    def over(self, context: Any) -> None:
        context.add_init_script(LOG_VIOLATIONS)
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))

    def _console(self, message: Any) -> None:
        if any(sign in message.text.lower() for sign in VIOLATIONS):
            self.faults.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(f"{self.home}/"):
            self.faults.append(f"a request to another host: {request.url}")
