"""The server is killed while somebody draws: what was saved is there, what was not yet is sent when it is back."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page

from tests.e2e.conftest import Server, start_server, stop_server
from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def servers(tmp_path: Path) -> Iterator[list[Server]]:
    """The servers of a test, the newest last; all are ended."""
    servers = [start_server(tmp_path)]
    yield servers
    for server in servers:
        stop_server(server)


def annotations(stage: Stage) -> dict[str, list[float]]:
    return {shape["id"]: shape["xyxy"] for shape in stage.shapes("annotation")}


def start_again(workspace: Path, port: str) -> Server:
    """On the same port; another program's connection may have got it meanwhile, and gives it back."""
    for _ in range(20):
        try:
            return start_server(workspace, "--port", port)
        except AssertionError as error:
            if "is in use" not in str(error):
                raise
        time.sleep(5)
    raise AssertionError(f"Port {port} was not free again for minutes.")


def test_no_box_is_lost_when_the_server_is_killed(page: Page, servers: list[Server]) -> None:
    (first,) = servers
    page.goto(first.url)
    stage = Stage(page)
    stage.part("open-examples").click()
    stage.ready()
    page.get_by_test_id("category-name").fill("thing")
    page.get_by_test_id("add-category").click()
    stage.part("category-item").first.wait_for()
    stage.draw((10, 10, 60, 50))
    stage.until("g.shapes().length === 1")
    stage.saved()

    first.process.kill()
    first.process.wait()
    stage.draw((100, 100, 160, 150))  # nobody is there to hear of it
    stage.until("g.shapes().length === 2 && g.unsent() === 1")
    drawn = annotations(stage)

    port = first.url.rsplit(":", 1)[1]
    servers.append(start_again(first.workspace, port))
    stage.saved()
    page.reload()
    stage.ready()
    assert annotations(stage) == drawn
