"""Every door of the whole application, Gradio's included: foreign requests and strangers change and read nothing."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.credentials import Credentials
from app.guard import Guard
from app.routes.policies import policy_for
from app.server import build_app
from tests.app.asgi import Answer, ask
from tests.app.workbench import Bench, workbench

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
HOSTS = {"ok": "127.0.0.1:7860", "ipv6": "[::1]:7860", "lan": "192.168.1.4:7860", "evil": "evil.example:7860"}
ORIGINS = {"none": None, "own": "http://127.0.0.1:7860", "null": "null", "evil": "http://evil.example:7860"}
OPEN_TO_ALL = {("ok", "none"), ("ok", "own"), ("ipv6", "none"), ("ipv6", "own")}


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with workbench(tmp_path_factory.mktemp("doors")) as made:
        yield made


@pytest.fixture(scope="module")
def app(bench: Bench) -> Guard:
    return build_app(bench.services, host="127.0.0.1", port=7860, auth=None)


@pytest.fixture(scope="module")
def paths(app: Guard) -> list[str]:
    """An address for each route of the application."""
    return sorted({_address(path) for path in _route_paths(app.app.routes)})  # type: ignore[attr-defined]


def _route_paths(routes: Iterable[Any], prefix: str = "") -> Iterator[str]:
    """The path of every route, inside mounts and included routers too."""
    for route in routes:
        if hasattr(route, "original_router"):
            inner = route.include_context.prefix if hasattr(route.include_context, "prefix") else ""
            yield from _route_paths(route.original_router.routes, prefix + inner)
        elif getattr(route, "routes", None):
            yield from _route_paths(route.routes, prefix + route.path)
        else:
            yield prefix + route.path


def _address(path: str) -> str:
    """A path template with something plausible in each hole."""

    def plausible(hole: re.Match[str]) -> str:
        name = hole[1].partition(":")[0]
        if name in ("job_id", "run_id"):
            return "00000000-0000-0000-0000-000000000001"
        return "1" if name.endswith("_id") else "x"

    return re.sub(r"\{([^}]+)\}", plausible, path)


def _everything(bench: Bench) -> object:
    """What a request could have changed: all rows and all files of the workspace."""
    from sqlalchemy import text

    from annotations.models import Base

    with bench.services.store.reading() as session:
        rows = {
            table.name: session.execute(text(f"SELECT * FROM {table.name}")).fetchall()
            for table in Base.metadata.sorted_tables
        }
    files = sorted(
        (str(path), path.stat().st_size)
        for path in bench.services.workspace.root.rglob("*")
        if path.is_file() and not path.name.startswith("groundwork.db")
    )
    return rows, files


def _ask(app: Guard, method: str, path: str, host: str, origin: str | None, **more: str) -> Answer:
    headers = {"host": host, "content-type": "application/json", **more}
    if origin is not None:
        headers["origin"] = origin
    return ask(app, method, path, headers, [b'{"name": "intruder", "prompt": "cat.", "image_ids": "all"}'])


def test_the_enumeration_sees_our_routes_and_those_of_gradio(paths: list[str]) -> None:
    assert {"/api/datasets", "/api/images/1/edits", "/web/x", "/", "/gradio_api/upload", "/theme.css"} <= set(paths)
    assert len(paths) > 60


def test_every_route_has_a_declared_policy(paths: list[str]) -> None:
    assert [path for path in paths if policy_for(path) is None] == []


def test_a_route_that_nobody_declared_stays_closed(app: Guard) -> None:
    for path in ("/api/secrets", "/api/datasets/1/secrets", "/secrets"):
        assert policy_for(path) is None
        answer = _ask(app, "GET", path, HOSTS["ok"], None)
        assert (answer.status, answer.json()) == (404, {"error": "There is nothing here."})


def test_of_gradio_only_the_page_and_its_files_are_open(paths: list[str]) -> None:
    theirs = {path for path in paths if not path.startswith(("/api/", "/web/"))}
    opened = {path for path in theirs if not policy_for(path).is_closed}  # type: ignore[union-attr]
    assert opened == {"/", "/assets/x", "/static/x", "/theme.css", "/favicon.ico"}


def test_foreign_requests_change_nothing_on_any_route(app: Guard, paths: list[str], bench: Bench) -> None:
    before = _everything(bench)
    refused = 0
    for path in paths:
        for host_name, host in HOSTS.items():
            for origin_name, origin in ORIGINS.items():
                if (host_name, origin_name) in OPEN_TO_ALL:
                    continue
                for method in METHODS:
                    answer = _ask(app, method, path, host, origin)
                    assert answer.status in (400, 403), (method, path, host, origin, answer.status)
                    assert list(answer.json()) == ["error"]
                    assert "access-control-allow-origin" not in answer.headers
                    refused += 1
    assert refused == len(paths) * 12 * len(METHODS)
    assert _everything(bench) == before


def test_requests_that_another_site_makes_a_browser_send_change_nothing(
    app: Guard, paths: list[str], bench: Bench
) -> None:
    before = _everything(bench)
    for path in paths:
        for method in METHODS:
            for site in ("cross-site", "same-site"):
                answer = _ask(app, method, path, HOSTS["ok"], None, **{"sec-fetch-site": site})
                assert answer.status == 403, (method, path)
    assert _everything(bench) == before


def test_without_credentials_no_route_answers(bench: Bench, paths: list[str]) -> None:
    guarded = build_app(bench.services, host="127.0.0.1", port=7860, auth=Credentials.parse("ada:secret"))
    before = _everything(bench)
    for path in paths:
        for method in METHODS:
            answer = _ask(guarded, method, path, HOSTS["ok"], ORIGINS["own"])
            assert answer.status == 401, (method, path)
            assert list(answer.json()) == ["error"]
    assert _everything(bench) == before


def test_the_page_comes_with_its_title_and_no_door_of_gradio_s(app: Guard) -> None:
    answer = _ask(app, "GET", "/", HOSTS["ok"], None)
    page = answer.body.decode()
    assert answer.status == 200
    assert "<title>Groundwork</title>" in page or '"title":"Groundwork"' in page
    for wanted in ('"run_history":false', '"show_error":false', '"footer_links":[]', '"analytics_enabled":false'):
        assert wanted in page
    assert '"dependencies":[]' in page  # no event goes through Gradio's queue


def test_no_answer_reflects_a_foreign_origin(app: Guard) -> None:
    for path in ("/", "/theme.css", "/api/datasets"):
        answer = _ask(app, "GET", path, HOSTS["ok"], ORIGINS["own"])
        assert "access-control-allow-credentials" not in answer.headers


def test_temporary_files_of_gradio_stay_in_a_folder_of_ours(app: Guard, bench: Bench) -> None:
    import os

    folder = Path(os.environ["GRADIO_TEMP_DIR"])
    assert folder == bench.services.workspace.cache / "gradio"
    assert folder.stat().st_mode & 0o077 == 0
