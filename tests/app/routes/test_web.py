"""Our scripts and styles over HTTP."""

from pathlib import Path

import pytest

from app.routes.web import read_assets
from tests.app.workbench import Bench


def test_modules_come_with_a_type_that_browsers_run(bench: Bench) -> None:
    answer = bench.client.get("/web/tabs/dom.mjs")
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert bench.client.get("/web/tabs/tabs.css").headers["content-type"] == "text/css; charset=utf-8"


def test_a_file_the_browser_has_is_not_sent_again(bench: Bench) -> None:
    tag = bench.client.get("/web/api.mjs").headers["etag"]
    assert bench.client.get("/web/api.mjs", {"if-none-match": tag}).status == 304


@pytest.mark.parametrize(
    "name",
    [
        "../guard.py",
        "..%2fguard.py",
        "tabs/../../guard.py",
        "/etc/passwd",
        "//etc/passwd",
        "api.mjs/",
        "API.MJS",
        "api.mjs%00",
        "..\\guard.py",
        "api.mjs::$DATA",
        "nothing.mjs",
        ".",
        "..",
    ],
)
def test_nothing_outside_the_folder_is_ever_served(bench: Bench, name: str) -> None:
    answer = bench.client.get(f"/web/{name}")
    assert (answer.status, list(answer.json())) == (404, ["error"])


def test_only_kinds_that_a_browser_needs_are_served(tmp_path: Path) -> None:
    for name in ("a.mjs", "b.css", "c.py", "d.html", "e.md", "sub/f.mjs"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    assert sorted(read_assets(tmp_path)) == ["a.mjs", "b.css", "sub/f.mjs"]
