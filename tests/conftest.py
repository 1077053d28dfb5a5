"""What tests of all folders share."""

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"]

# No limits of time: before its first draw Hypothesis reads all modules of the project that are loaded, which takes
# seconds in a fresh clone.
settings.register_profile("groundwork", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("groundwork")


@pytest.fixture(scope="session", autouse=True)
def measured_choice() -> Iterator[Callable[[], bool]]:
    """Products take oneDNN wherever it is there: by the clock, each process would choose its own rounding.

    Gives the choice by the clock.
    """
    from engine import products  # imports torch: seconds, which a module of fixtures should not cost

    measured = products._tried
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(products, "_tried", products.has_onednn)
        yield measured


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
    from playwright.sync_api import expect, sync_playwright  # most tests need no browser

    expect.set_options(timeout=90_000)  # a busy machine is slow, not wrong
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_FLAGS)
        yield browser
        browser.close()
