"""What no page may do, whichever test opens it."""

from typing import Any

TELL = """document.addEventListener("securitypolicyviolation", (event) => console.error(
    `securitypolicyviolation: ${event.violatedDirective} by ${event.blockedURI || "inline"}`))"""

VIOLATIONS = ("securitypolicyviolation", "content security policy")
"""Of our own listener, and of Chromium, which also tells of documents without a script."""


class Watch:
    """Collects the faults of every page of the browsers it is put over."""

    def __init__(self, home: str) -> None:
        self.home = home
        self.faults: list[str] = []

    def over(self, context: Any) -> None:
        context.add_init_script(TELL)
        context.on("console", self._console)
        context.on("request", self._request)
        context.on("weberror", lambda error: self.faults.append(f"uncaught: {error.error}"))

    def _console(self, message: Any) -> None:
        if any(sign in message.text.lower() for sign in VIOLATIONS):
            self.faults.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith(f"{self.home}/"):
            self.faults.append(f"a request to another host: {request.url}")
