"""The outermost door: every request passes here before Gradio or our own routes see it.

Knows nothing of datasets or pages: only host names, origins, credentials, body sizes and response headers.
"""

import ipaddress
import json
import math
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from app.credentials import Credentials, LoginBackoff
from app.routes.policies import Policy, policy_for

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
AsgiApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_SINGLE = (b"host", b"origin", b"authorization", b"content-length", b"sec-fetch-site")
_READS = ("GET", "HEAD")
_SHARED_CSP = "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
PAGE_CSP = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    f"img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self'; {_SHARED_CSP}"
)
DATA_CSP = f"default-src 'self'; {_SHARED_CSP}"


@dataclass(frozen=True)
class OwnNames:
    """The names this server answers to, as browsers write them in `Host`.

    Args:
        host: the address it listens on.
        port: its port; left out of `Host` by browsers when it is 80.
    """

    host: str
    port: int

    def knows(self, host_header: str) -> bool:
        """Whether a `Host` header names this server (and no name somebody else pointed at it)."""
        name, port = _split_host(host_header)
        if port != self.port:
            return False
        if name in ("localhost", "127.0.0.1", "[::1]") or name == _bracketed(self.host):
            return True
        # Listening on every address: any literal one will do, as a rebound name is never a literal.
        return self.host in ("0.0.0.0", "::") and _is_address(name)  # noqa: S104

    def owns(self, origin: str) -> bool:
        """Whether an `Origin` header is one of our own pages; `null` never is."""
        scheme, separator, host = origin.partition("://")
        return bool(separator) and scheme == "http" and self.knows(host)


@dataclass(frozen=True)
class Refusal:
    """An answer that ends the request: one line for a person, a status for a program."""

    status: int
    error: str
    headers: tuple[tuple[bytes, bytes], ...] = ()


@dataclass
class Guard:
    """Pure ASGI middleware around the whole application.

    Refuses foreign hosts (400), foreign origins and cross-site requests (403), missing credentials (401),
    repeated wrong ones (429), undeclared or closed paths (404), methods a path does not take (405) and
    bodies over the limit (413, counted while they stream); adds the security headers to every answer.
    """

    app: AsgiApp
    names: OwnNames
    auth: Credentials | None = None
    backoff: LoginBackoff = field(default_factory=LoginBackoff)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        policy = policy_for(scope["path"])
        is_page = policy is not None and policy.is_page
        send = _with_headers(send, PAGE_CSP if is_page else DATA_CSP)
        headers, doubled = _headers(scope)
        refusal = (
            Refusal(400, f"The {doubled} header came more than once.")
            if doubled
            else self._refuse_stranger(scope, headers, is_page=is_page)
            or self._refuse_login(scope, headers)
            or _refuse_path(scope, headers, policy)
        )
        if refusal:
            await _answer(send, refusal)
        elif policy is not None:
            await _Body(self.app, policy.body_bytes).run(scope, receive, send)

    def _refuse_stranger(self, scope: Scope, headers: dict[bytes, str], *, is_page: bool) -> Refusal | None:
        """Foreign `Host` (DNS rebinding), foreign `Origin`, or a request another site made the browser send."""
        if not self.names.knows(headers.get(b"host", "")):
            return Refusal(
                400, "This address is not one Groundwork answers to. Open the one it printed when it started."
            )
        origin = headers.get(b"origin")
        if origin is not None and not self.names.owns(origin):
            return Refusal(403, "Requests from other sites are refused.")
        site = headers.get(b"sec-fetch-site", "none")
        followed_link = is_page and scope["method"] in _READS and headers.get(b"sec-fetch-mode") == "navigate"
        if site not in ("same-origin", "none") and not followed_link:
            return Refusal(403, "Requests from other sites are refused.")
        return None

    def _refuse_login(self, scope: Scope, headers: dict[bytes, str]) -> Refusal | None:
        if self.auth is None:
            return None
        challenge = Refusal(
            401, "User and password please.", ((b"www-authenticate", b'Basic realm="Groundwork", charset="UTF-8"'),)
        )
        given = headers.get(b"authorization")
        if given is None:
            return challenge
        address = (scope.get("client") or ("", 0))[0]
        wait_s = math.ceil(self.backoff.seconds_left(address))
        if wait_s > 0:
            error = f"Too many wrong passwords. Try again in {wait_s} s."
            return Refusal(429, error, ((b"retry-after", str(wait_s).encode()),))
        if self.auth.match(given.encode("latin-1")):
            self.backoff.succeeded(address)
            scope["who"] = self.auth.user
            return None
        self.backoff.failed(address)
        return challenge


def _refuse_path(scope: Scope, headers: dict[bytes, str], policy: Policy | None) -> Refusal | None:
    """A path nobody opened, a method it does not take, or a body announced as too large."""
    if policy is None or policy.is_closed:
        return Refusal(404, "There is nothing here.")
    if scope["method"] not in policy.methods:
        allowed = ", ".join(sorted(policy.methods))
        return Refusal(405, f"This address takes {allowed} only.", ((b"allow", allowed.encode()),))
    announced = headers.get(b"content-length", "0")
    if not announced.isascii() or not announced.isdecimal():
        return Refusal(400, "The Content-Length header is not a number.")
    if len(announced) > 18 or int(announced) > policy.body_bytes:
        return _too_large(policy.body_bytes)
    return None


class _Body:
    """Runs the application while counting what it reads; answers 413 once the count passes the limit."""

    def __init__(self, app: AsgiApp, limit: int) -> None:
        self.app, self.limit = app, limit
        self.read = 0
        self.overflowed = self.started = False

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def counted() -> Message:
            message = await receive()
            self.read += len(message.get("body", b""))
            if self.read <= self.limit:
                return message
            self.overflowed = True
            return {"type": "http.disconnect"}  # the application stops reading; nothing of the body is used

        async def watched(message: Message) -> None:
            if self.overflowed and not self.started:
                return  # whatever it says about the cut body, 413 says it better
            self.started = True
            await send(message)

        try:
            await self.app(scope, counted, watched)
        except Exception:
            if not self.overflowed:
                raise
        if self.overflowed and not self.started:
            await _answer(send, _too_large(self.limit))


def _too_large(limit: int) -> Refusal:
    return Refusal(413, f"The request is too large: at most {limit / 2**20:g} MB here.", ((b"connection", b"close"),))


async def _answer(send: Send, refusal: Refusal) -> None:
    body = json.dumps({"error": refusal.error}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _with_headers(send: Send, content_policy: str) -> Send:
    """`send` that adds the security headers, and `no-store` where the answer does not say how to cache."""
    security = {
        b"x-content-type-options": b"nosniff",
        b"content-security-policy": content_policy.encode(),
        b"x-frame-options": b"DENY",
        b"referrer-policy": b"same-origin",
        b"cross-origin-opener-policy": b"same-origin",
        b"cross-origin-resource-policy": b"same-origin",
    }

    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [(name, value) for name, value in message.get("headers", []) if name.lower() not in security]
            if all(name.lower() != b"cache-control" for name, _ in kept):
                kept.append((b"cache-control", b"no-store"))
            message = {**message, "headers": [*kept, *security.items()]}
        await send(message)

    return secured


def _headers(scope: Scope) -> tuple[dict[bytes, str], str]:
    """The headers by lower-case name, and the name of one that must be single but is not ('' when all are)."""
    found: dict[bytes, str] = {}
    doubled = ""
    for name, value in scope["headers"]:
        key = name.lower()
        if key in found and key in _SINGLE:
            doubled = key.decode("latin-1")
        found[key] = value.decode("latin-1")
    return found, doubled


def _split_host(header: str) -> tuple[str, int]:
    """`name:port` in lower case; port 80 when there is none, -1 when it is no number."""
    header = header.lower()
    name, colon, port = header.rpartition(":")
    if not colon or header.endswith("]"):
        return header, 80
    return name, int(port) if port.isascii() and port.isdecimal() and len(port) <= 5 else -1


def _bracketed(host: str) -> str:
    return f"[{host.lower()}]" if ":" in host else host.lower()


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True
