"""Who may use the page, and from where: a token, the hosts it is known by, and the pages that may send to it.

It answers on the computer itself. Elsewhere only with a token and TLS (`pipeline.serve.server`). A page of somebody
else in the same browser can neither read it nor change anything: other names for this computer are refused (DNS
rebinding), requests that another site began are, and what is changed is changed by POST with this page's own origin.
There are no websockets; a handshake is answered like any request, and refused from elsewhere all the same.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

COOKIE = "coinlab"
OPEN_PATHS = ("/login", "/static/")  # what is shown before a person has given the token
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SAFE_METHODS = frozenset({"GET", "HEAD"})
MAX_BODY_BYTES = 1_000_000
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


@dataclass(frozen=True)
class Access:
    """What is asked of whoever uses the page.

    Attributes
    ----------
    token
        None where nothing is: on this computer, unless one was wished for.
    is_secure
        Whether it is reached by TLS: the cookie is then sent by nothing else.
    """

    token: str | None = None
    is_secure: bool = False

    def is_token(self, given: str) -> bool:
        """Whether this is the token; it takes the same time however much of it is right."""
        return self.token is not None and hmac.compare_digest(given.strip().encode(), self.token.encode())

    @property
    def pass_value(self) -> str:
        """The value of the cookie of somebody who has given the token: it does not reveal it."""
        return hmac.new((self.token or "").encode(), b"coinlab page", hashlib.sha256).hexdigest()

    def admits(self, request: Request) -> bool:
        """Whether a request comes from somebody who may use the page."""
        if self.token is None:
            return True
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self.pass_value.encode())


async def guard(access: Access, request: Request, answer: Callable[[Request], Awaitable[Response]]) -> Response:
    """Answer a request if it may be, and put the headers on every answer."""
    response = _refusal(access, request) or await answer(request)
    for name, value in HEADERS.items():
        response.headers[name] = value
    if "cache-control" not in response.headers:
        response.headers["Cache-Control"] = "no-store"
    return response


def _refusal(access: Access, request: Request) -> Response | None:
    problem = _foreign(access, request)
    if problem:
        return PlainTextResponse(f"Refused: {problem}\n", 403)
    if _length(request) > MAX_BODY_BYTES:
        return PlainTextResponse(f"Refused: too large. At most {MAX_BODY_BYTES / 1e6:g} MB can be sent.\n", 413)
    if not request.url.path.startswith(OPEN_PATHS) and not access.admits(request):
        if request.method in SAFE_METHODS and "text/html" in request.headers.get("accept", ""):
            return RedirectResponse("/login", 303)
        return PlainTextResponse("Refused: log in first, with the token that `rig serve` printed.\n", 401)
    return None


def _foreign(access: Access, request: Request) -> str | None:
    """What of a request shows that another site began it; None if nothing does."""
    host = request.headers.get("host", "")
    if access.token is None and _name(host) not in LOOPBACK:
        return "this page is for its own computer. Open it as http://127.0.0.1 or http://localhost."
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return "another site sent this."
    if "upgrade" in request.headers:
        return "the page has no websockets."
    site, mode = (request.headers.get(f"sec-fetch-{key}", "") for key in ("site", "mode"))
    if request.method in SAFE_METHODS:
        return "another site asked for this." if site in ("cross-site", "same-site") and mode != "navigate" else None
    if origin is None or site not in ("", "same-origin"):
        return "what changes something has to come from this page itself."
    return None


def _name(host: str) -> str:
    """A host without its port."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _length(request: Request) -> int:
    length = request.headers.get("content-length", "0")
    if "transfer-encoding" in request.headers or not length.isdigit():
        return MAX_BODY_BYTES + 1  # the page itself always says how much it sends
    return int(length)
