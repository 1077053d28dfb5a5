"""A real server in its own process and a real Chromium in front of it."""

import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.e2e.stage import Stage

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Server:
    """A running `launch.py serve` and what it said."""

    process: subprocess.Popen[str]
    url: str
    workspace: Path


def start_server(workspace: Path, *arguments: str) -> Server:
    """Start the page on a free port and wait until it says where it is."""
    process = subprocess.Popen(
        [
            sys.executable,
            "launch.py",
            "serve",
            "--workspace",
            str(workspace),
            "--port",
            "0",
            "--no-browser",
            *arguments,
        ],
        cwd=ROOT,
        env={**os.environ, "GROUNDWORK_NO_VENV": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said: list[str] = []
    assert process.stdout is not None
    for line in process.stdout:
        said.append(line)
        if match := re.search(r"http://\S+", line):
            # Keep reading, or a chatty server would stop at a full pipe.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            return Server(process, match[0].rstrip("/."), workspace)
    raise AssertionError("The server ended before it said its address:\n" + "".join(said))


def stop_server(server: Server) -> None:
    """End the server as Ctrl+C does."""
    server.process.terminate()
    try:
        server.process.wait(20)
    except subprocess.TimeoutExpired:
        server.process.kill()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A fresh page that fails the test when a script on it failed."""
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    page = context.new_page()
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.set_default_timeout(90_000)  # a busy machine is slow, not wrong
    yield page
    context.close()
    assert errors == []


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server over an empty workspace, for all tests of a file; a file may have one of its own."""
    server = start_server(tmp_path_factory.mktemp("workspace"))
    yield server
    stop_server(server)


@pytest.fixture
def stage(page: Page, server: Server) -> Stage:
    """The label tab of a fresh page."""
    page.goto(server.url)
    return Stage(page)
