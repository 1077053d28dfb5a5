"""The outermost door, tried on a tiny application behind it."""

import base64
from collections.abc import Iterator
from typing import Any

import pytest

from app.credentials import (
    BindingRefused,
    Credentials,
    CredentialsRefused,
    LoginBackoff,
    check_binding,
)
from app.guard import Guard, Message, OwnNames, Receive, Scope, Send
from tests.app.asgi import Answer, ask, complete

HOME = {"host": "127.0.0.1:7860"}
NAMES = OwnNames("127.0.0.1", 7860)


class Echo:
    """Reads the whole body and answers 200 with its length; remembers how often it was reached."""

    def __init__(self) -> None:
        self.reached = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.reached += 1
        length, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                break
            length, more = length + len(message["body"]), message["more_body"]
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-frame-options", b"ALLOWALL")]})
        await send({"type": "http.response.body", "body": str(length).encode()})


def basic(text: str) -> dict[str, str]:
    """Headers of our own page with these credentials."""
    return {**HOME, "authorization": "Basic " + base64.b64encode(text.encode()).decode()}


@pytest.fixture
def echo() -> Iterator[Echo]:
    yield Echo()


@pytest.mark.parametrize("host", ["127.0.0.1:7860", "localhost:7860", "LOCALHOST:7860", "[::1]:7860"])
def test_names_of_this_machine_are_answered(echo: Echo, host: str) -> None:
    assert ask(Guard(echo, NAMES), "GET", "/", {"host": host}).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "",
        "evil.example",
        "evil.example:7860",
        "127.0.0.1",
        "127.0.0.1:80",
        "127.0.0.1:7860.evil.example",
        "192.168.1.4:7860",
        "localhost:7860@evil.example",
        "[::1]",
        "127.0.0.1:",
        "127.0.0.1:07x60",
        "localhost.:7860",
    ],
)
def test_a_foreign_host_never_reaches_the_application(echo: Echo, host: str) -> None:
    answer = ask(Guard(echo, NAMES), "GET", "/", {"host": host})
    assert (answer.status, echo.reached) == (400, 0)


def test_a_request_without_a_host_is_refused(echo: Echo) -> None:
    assert ask(Guard(echo, NAMES), "GET", "/").status == 400


def test_a_header_that_must_be_single_is_refused_when_doubled(echo: Echo) -> None:
    twice = [("host", "127.0.0.1:7860"), ("host", "evil.example")]
    assert ask(Guard(echo, NAMES), "GET", "/", twice).status == 400
    assert echo.reached == 0


def test_port_80_may_be_left_out_of_the_host(echo: Echo) -> None:
    assert ask(Guard(echo, OwnNames("127.0.0.1", 80)), "GET", "/", {"host": "localhost"}).status == 200


def test_the_bound_address_is_a_name_of_ours(echo: Echo) -> None:
    guard = Guard(echo, OwnNames("192.168.1.4", 7860))
    assert ask(guard, "GET", "/", {"host": "192.168.1.4:7860"}).status == 200
    assert ask(guard, "GET", "/", {"host": "192.168.1.5:7860"}).status == 400


def test_listening_everywhere_answers_to_addresses_but_not_to_names(echo: Echo) -> None:
    guard = Guard(echo, OwnNames("0.0.0.0", 7860))
    assert ask(guard, "GET", "/", {"host": "10.0.0.7:7860"}).status == 200
    assert ask(guard, "GET", "/", {"host": "rebound.example:7860"}).status == 400


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
@pytest.mark.parametrize(
    "origin",
    [
        "null",
        "http://evil.example",
        "http://127.0.0.1",
        "http://127.0.0.1:7861",
        "https://127.0.0.1:7860",
        "http://localhost:7860.evil.example",
        "file://",
        "",
    ],
)
def test_a_foreign_origin_never_reaches_the_application(echo: Echo, origin: str, method: str) -> None:
    answer = ask(Guard(echo, NAMES), method, "/api/datasets", {**HOME, "origin": origin})
    assert (answer.status, echo.reached) == (403, 0)


def test_our_own_origin_and_programs_without_one_may_write(echo: Echo) -> None:
    guard = Guard(echo, NAMES)
    own = {**HOME, "origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}
    assert ask(guard, "POST", "/api/datasets", own).status == 200
    assert ask(guard, "POST", "/api/datasets", HOME).status == 200


@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense"])
def test_other_sites_may_neither_write_nor_embed(echo: Echo, site: str) -> None:
    guard = Guard(echo, NAMES)
    assert ask(guard, "POST", "/api/datasets", {**HOME, "sec-fetch-site": site}).status == 403
    assert ask(guard, "GET", "/api/images/1/pixels", {**HOME, "sec-fetch-site": site}).status == 403
    assert ask(guard, "GET", "/", {**HOME, "sec-fetch-site": site, "sec-fetch-mode": "no-cors"}).status == 403
    assert echo.reached == 0


def test_a_link_on_another_site_may_open_the_page(echo: Echo) -> None:
    link = {**HOME, "sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert ask(Guard(echo, NAMES), "GET", "/", link).status == 200
    assert ask(Guard(echo, NAMES), "GET", "/api/datasets", link).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=https://evil.example/x",
        "/gradio_api/proxy=https://evil.example",
        "/gradio_api/upload",
        "/config",
        "/gradio_api/queue/join",
        "/monitoring/summary",
        "/openapi.json",
        "/docs",
        "/file=/etc/passwd",
        "/web",
        "//",
        "/api\n",
    ],
)
def test_closed_and_undeclared_paths_stay_closed(echo: Echo, path: str) -> None:
    for method in ("GET", "POST"):
        assert ask(Guard(echo, NAMES), method, path, HOME).status == 404
    assert echo.reached == 0


def test_a_method_that_a_path_does_not_take_is_named(echo: Echo) -> None:
    answer = ask(Guard(echo, NAMES), "DELETE", "/api/datasets", HOME)
    assert (answer.status, answer.headers["allow"]) == (405, "GET, POST")
    assert ask(Guard(echo, NAMES), "TRACE", "/", HOME).status == 405


def test_an_announced_body_over_the_limit_is_refused_unread(echo: Echo) -> None:
    answer = ask(Guard(echo, NAMES), "POST", "/api/datasets", {**HOME, "content-length": str(8 * 2**20 + 1)})
    assert (answer.status, echo.reached) == (413, 0)
    assert answer.json() == {"error": "The request is too large: at most 8 MB here."}


@pytest.mark.parametrize("length", ["-1", "1e9", "", "٣", "9" * 40])
def test_a_nonsense_content_length_is_refused(echo: Echo, length: str) -> None:
    headers = [("host", "127.0.0.1:7860")]
    scope_value = length.encode("utf-8").decode("latin-1")
    assert ask(Guard(echo, NAMES), "POST", "/api/datasets", [*headers, ("content-length", scope_value)]).status in (
        400,
        413,
    )
    assert echo.reached == 0


def test_a_streamed_body_is_cut_at_the_limit(echo: Echo) -> None:
    sent = []

    def endless() -> Iterator[bytes]:
        while True:
            sent.append(1)
            yield b"x" * 2**20

    answer = ask(Guard(echo, NAMES), "POST", "/api/datasets", HOME, endless())
    assert answer.status == 413
    assert len(sent) == 9  # 8 MB are allowed, the ninth passes the limit, nobody asks for a tenth


def test_each_kind_of_route_has_its_own_limit(echo: Echo) -> None:
    megabytes = [b"x" * 2**20] * 20
    guard = Guard(echo, NAMES)
    assert ask(guard, "POST", "/api/datasets/1/upload", HOME, megabytes).body == str(20 * 2**20).encode()
    assert ask(guard, "GET", "/api/datasets", HOME, megabytes).status == 413


@pytest.mark.parametrize("path", ["/", "/api/datasets", "/gradio_api/upload", "/nowhere"])
def test_every_answer_carries_the_security_headers(echo: Echo, path: str) -> None:
    headers = ask(Guard(echo, NAMES), "GET", path, HOME).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] == "no-store"
    assert "default-src 'self'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]


def test_only_the_page_may_evaluate_scripts(echo: Echo) -> None:
    guard = Guard(echo, NAMES)
    assert "unsafe-eval" in ask(guard, "GET", "/", HOME).headers["content-security-policy"]
    assert "unsafe" not in ask(guard, "GET", "/api/datasets", HOME).headers["content-security-policy"]


def test_websockets_are_closed_before_they_open(echo: Echo) -> None:
    sent: list[Message] = []

    async def connect() -> None:
        async def receive() -> Message:
            return {"type": "websocket.connect"}

        async def send(message: Message) -> None:
            sent.append(message)

        await Guard(echo, NAMES)({"type": "websocket", "path": "/", "headers": []}, receive, send)

    complete(connect())
    assert sent == [{"type": "websocket.close", "code": 1008}]
    assert echo.reached == 0


@pytest.mark.parametrize(
    "path", ["/", "/web/main.mjs", "/assets/x.js", "/api/datasets", "/gradio_api/upload", "/nowhere"]
)
def test_without_credentials_everything_answers_401(echo: Echo, path: str) -> None:
    guard = Guard(echo, NAMES, Credentials.parse("ada:pass:word"))
    answer = ask(guard, "GET", path, HOME)
    assert (answer.status, echo.reached) == (401, 0)
    assert answer.headers["www-authenticate"].startswith("Basic realm=")


def test_the_right_password_opens_and_others_do_not(echo: Echo) -> None:
    guard = Guard(echo, NAMES, Credentials.parse("ada:päss:word"))
    assert ask(guard, "GET", "/", basic("ada:päss:word")).status == 200
    for wrong in ("ada:päss", "ada:", "", "bob:päss:word", "ada:päss:word "):
        assert ask(guard, "GET", "/", basic(wrong), client=f"10.0.0.{len(wrong)}").status == 401
    for header in ("Bearer x", "Basic", "Basic %%%", "Basic YWRh"):
        assert ask(guard, "GET", "/", {**HOME, "authorization": header}, client="10.1.0.1").status == 401
    assert echo.reached == 1


def test_wrong_passwords_make_their_address_wait_longer_each_time(echo: Echo) -> None:
    now = [0.0]
    guard = Guard(echo, NAMES, Credentials.parse("ada:secret"), LoginBackoff(lambda: now[0]))

    def attempt(password: str, client: str = "10.0.0.1") -> Answer:
        return ask(guard, "GET", "/", basic(f"ada:{password}"), client=client)

    assert [attempt("x").status for _ in range(5)] == [401] * 5
    blocked = attempt("secret")
    assert (blocked.status, blocked.headers["retry-after"]) == (429, "1")
    assert attempt("secret", client="10.0.0.2").status == 200  # others are not locked out
    now[0] = 1.0
    assert attempt("x").status == 401
    assert attempt("x").headers["retry-after"] == "2"
    now[0] = 3.0
    assert attempt("secret").status == 200
    assert attempt("x").status == 401  # the count began anew


def test_the_back_off_remembers_a_bounded_number_of_addresses_and_groups_ipv6() -> None:
    backoff = LoginBackoff(lambda: 0.0)
    for index in range(10_050):
        backoff.failed(f"10.{index // 65536}.{index // 256 % 256}.{index % 256}")
    assert len(backoff._failures) == 10_000
    for host in range(5):
        backoff.failed(f"2001:db8::{host}")
    assert backoff.seconds_left("2001:db8::ffff") == 1.0
    for _ in range(30):
        backoff.failed("2001:db8::1")
    assert backoff.seconds_left("2001:db8::1") == 60.0


@pytest.mark.parametrize("text", ["", "ada", "ada:", ":secret", ":"])
def test_half_credentials_are_refused_in_one_line(text: str) -> None:
    with pytest.raises(CredentialsRefused, match=r"^--auth must be USER:PASSWORD[^\n]*$"):
        Credentials.parse(text)


def test_a_password_is_never_printed() -> None:
    assert "secret" not in repr(Credentials.parse("ada:secret"))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_needs_no_password(host: str) -> None:
    check_binding(host, None)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.4", "example.org", ""])
def test_listening_beyond_this_machine_without_a_password_is_refused(host: str) -> None:
    with pytest.raises(BindingRefused, match=r"^Refusing to listen on [^\n]+--auth USER:PASSWORD[^\n]*$"):
        check_binding(host, None)
    check_binding(host, Credentials.parse("ada:secret"))


def test_an_error_behind_the_guard_is_not_hidden() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise RuntimeError("boom")

    with pytest.raises(RuntimeError, match="boom"):
        ask(Guard(broken, NAMES), "GET", "/", HOME)


def test_start_and_stop_signals_pass(echo: Echo) -> None:
    seen: list[Any] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope["type"])

    async def signal() -> None:
        async def receive() -> Message:
            return {"type": "lifespan.startup"}

        async def send(message: Message) -> None:
            seen.append(message)

        await Guard(app, NAMES)({"type": "lifespan"}, receive, send)

    complete(signal())
    assert seen == ["lifespan"]
