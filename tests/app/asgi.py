"""Drives an ASGI application without a server: one request in, status, headers and body out."""

import asyncio
import json
from collections.abc import Coroutine, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from app.guard import AsgiApp, Message


@dataclass
class Answer:
    """What came back for one request."""

    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    def json(self) -> Any:
        """The body read as JSON."""
        return json.loads(self.body)


def ask(
    app: AsgiApp,
    method: str,
    path: str,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    chunks: Iterable[bytes] = (b"",),
    query: str = "",
    client: str = "127.0.0.1",
) -> Answer:
    """Send one request in `chunks` and wait for the answer; exceptions of the application come through."""
    pairs = headers.items() if isinstance(headers, Mapping) else headers
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in pairs],
        "client": (client, 50_000),
        "server": ("127.0.0.1", 7860),
    }
    answer = Answer()
    bodies = iter(chunks)
    ended = False

    async def receive() -> Message:
        nonlocal ended
        if ended:  # the client stays and listens; the application is cancelled when its answer is out
            await asyncio.Event().wait()
        chunk = next(bodies, None)
        if chunk is None:
            ended = True
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": chunk, "more_body": True}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message.get("body", b"")

    complete(_run(app, scope, receive, send))
    return answer


def complete(work: Coroutine[Any, Any, None]) -> None:
    """Run to the end; in another thread where this one has a loop already, as Playwright's does."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
    else:
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, work).result()


async def _run(app: AsgiApp, scope: dict[str, Any], receive: Any, send: Any) -> None:
    await app(scope, receive, send)
