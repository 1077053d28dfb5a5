"""Takes the pictures of the documents: `python -m tests.e2e.pictures [FOLDER]`, by default into docs/pictures.

Each is what a person sees who clicks on an example and corrects a little.
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.conftest import CHROMIUM_FLAGS, find_browser
from tests.e2e.conftest import ROOT, start_server, stop_server
from tests.e2e.stage import Stage

SIZES = ((1440, 900), (1024, 768))


def main(folder: Path) -> None:
    """Take every picture in light and dark, wide and narrow; the README shows the wide light one."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as workspace, sync_playwright() as playwright:
        server = start_server(Path(workspace))
        browser = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM_FLAGS)
        try:
            for width, height in SIZES:
                for scheme in ("light", "dark"):
                    suffix = "" if (width, scheme) == (1440, "light") else f"-{width}-{scheme}"
                    _tour(_open(browser, server.url, width, height, scheme), folder, suffix)
        finally:
            browser.close()
            stop_server(server)


def _open(browser: Browser, url: str, width: int, height: int, scheme: str) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="dark" if scheme == "dark" else "light"
    )
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(url)
    return page


def _tour(page: Page, folder: Path, suffix: str) -> None:
    stage = Stage(page)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=welcome]')?.checkVisibility() || window.groundwork?.ready()"
    )
    is_first = stage.part("welcome").is_visible()
    if not is_first:
        stage.part("open-data").click()
    page.wait_for_function("() => [...document.querySelectorAll('.gw-try-picture')].some((one) => one.complete)")
    page.wait_for_timeout(700)
    page.screenshot(path=folder / f"empty{suffix}.png")
    if is_first:
        page.locator("[data-testid=example][data-task=detect]").first.click()
        stage.until("g.shapes().some((shape) => shape.kind === 'prediction')")
        stage.click(stage.shapes("prediction")[0])
        page.keyboard.press("Enter")
        stage.saved()
    else:
        stage.part("welcome-close").click()
    stage.ready()
    page.wait_for_timeout(700)
    page.screenshot(path=folder / f"label{suffix}.png")
    for tab in ("Teach", "Models", "Export", "Data"):
        page.get_by_role("tab", name=tab).click()
        page.wait_for_timeout(700)
        page.screenshot(path=folder / f"{tab.lower()}{suffix}.png")
    page.context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "pictures")
