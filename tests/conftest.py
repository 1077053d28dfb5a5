"""What the browser tests of several folders share."""

import os
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]


def find_browser() -> str:
    """Chromium or Chrome on this machine; without one the test fails, it is not skipped."""
    names = ("chromium", "google-chrome")
    path = os.environ.get("GROUNDWORK_BROWSER") or next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.fail("The browser tests need Chromium: install it (apt install chromium) or run `launch.py test`.")
    return path


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """One browser for all tests: Playwright can't be started a second time while the first runs."""
    from playwright.sync_api import sync_playwright  # most tests need no browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
