"""The tabs in a real browser: hostile names stay text, everything fits, light and dark are kept."""

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import uvicorn
from playwright.sync_api import Browser, Dialog, Page, expect

from annotations import runs
from annotations.categories import add_category
from annotations.datasets import create_dataset
from app.server import build_app, listening_socket
from tests.app.workbench import Bench, workbench

pytestmark = [pytest.mark.browser, pytest.mark.slow]

TABS = ("Label", "Teach", "Models", "Export", "Data")
HOSTILE = (
    "<img src=x onerror=alert(1)>",
    "${alert(2)}",
    "{{constructor.constructor('alert(3)')()}}",
    "`+alert(4)+`",
    '"><svg/onload=alert(5)>',
    "</script><script>alert(6)</script>",
    "javascript:alert(7)",
    "C:\\users\\x \\u{1F4A9}",
)


@dataclass
class Open:
    """A page of a running server, and everything that should not have happened on it."""

    page: Page
    url: str
    bench: Bench
    faults: list[str] = field(default_factory=list)

    def note(self, is_fault: bool, text: str) -> None:
        """Remember what should not have happened."""
        if is_fault:
            self.faults.append(text)

    def refuse(self, dialog: Dialog) -> None:
        """A dialog: some text ran as a script."""
        self.faults.append(f"dialog {dialog.message}")
        dialog.dismiss()

    def choose(self, dataset_id: int) -> None:
        """Open the page anew on a dataset."""
        self.page.evaluate("(id) => localStorage.setItem('groundwork.dataset', JSON.stringify(id))", dataset_id)
        self.page.reload()
        expect(self.page.locator(".gt-brand")).to_be_visible()

    def show(self, tab: str) -> None:
        """Open a tab and wait until it is filled."""
        self.page.get_by_role("tab", name=tab).click()
        expect(self.page.locator(f"#gw-{tab.lower()} :is(h1, .gw-stage)").first).to_be_visible()
        self.page.wait_for_timeout(300)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, str]]:
    with workbench(tmp_path_factory.mktemp("page")) as bench, listening_socket("127.0.0.1", 0) as listener:
        port = listener.getsockname()[1]
        app = build_app(bench.services, host="127.0.0.1", port=port, auth=None)
        server = uvicorn.Server(uvicorn.Config(app, log_level="error", ws="none"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.02)
        yield bench, f"http://127.0.0.1:{port}"
        server.should_exit = True
        thread.join(10)


@pytest.fixture
def opened(browser: Browser, served: tuple[Bench, str]) -> Iterator[Open]:
    bench, url = served
    context = browser.new_context(viewport={"width": 1024, "height": 768})
    page = context.new_page()
    state = Open(page, url, bench)
    page.on("dialog", state.refuse)
    page.on("pageerror", lambda error: state.note(True, f"error {error}"))
    page.on("console", lambda message: state.note(message.type == "error", message.text))
    page.on("request", lambda sent: state.note(not sent.url.startswith((url, "data:", "blob:")), sent.url))
    page.set_default_timeout(90_000)
    page.goto(url)
    state.choose(bench.dataset_id)
    yield state
    context.close()


def test_hostile_names_are_shown_as_they_are_and_do_nothing(opened: Open) -> None:
    with opened.bench.services.store.writing() as session:
        ids = [create_dataset(session, name).id for name in HOSTILE]
        for name in HOSTILE:
            add_category(session, opened.bench.dataset_id, name)
            runs.register_checkpoint(session, name, "/nowhere", name, metrics={"AP": 0.5})
        run = runs.create_run(session, "train", dataset_id=opened.bench.dataset_id, params={"name": HOSTILE[0]})
        runs.start_run(session, run.id)
        runs.finish_run(session, run.id, "failed", error=HOSTILE[1])
    for dataset_id in (opened.bench.dataset_id, ids[0]):
        opened.choose(dataset_id)
        for tab in TABS:
            opened.show(tab)
    for tab in ("data", "models"):
        opened.show(tab.title())
        expect(opened.page.locator(f"#gw-{tab} td.gt-name")).to_have_count(len(HOSTILE) + 1)
        shown = opened.page.locator(f"#gw-{tab} td.gt-name").all_text_contents()
        assert set(HOSTILE) < set(shown)
    assert opened.faults == []


@pytest.mark.parametrize(("width", "height"), [(1024, 768), (1440, 900)])
def test_no_tab_is_wider_than_the_window(opened: Open, width: int, height: int) -> None:
    opened.page.set_viewport_size({"width": width, "height": height})
    for tab in TABS:
        opened.show(tab)
        assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= width, tab
        for element in (".gt-head", f"#gw-{tab.lower()}"):
            box = opened.page.locator(element).bounding_box()
            assert box is not None
            assert box["x"] >= 0 and box["x"] + box["width"] <= width, (tab, element)


def test_light_and_dark_are_chosen_and_kept(opened: Open) -> None:
    def background() -> str:
        return str(opened.page.evaluate("() => getComputedStyle(document.body).backgroundColor"))

    before = background()
    opened.page.get_by_role("button", name="Change to").click()
    after = background()
    assert after != before
    opened.page.reload()
    expect(opened.page.locator(".gt-brand")).to_be_visible()
    assert background() == after


def test_the_dataset_is_the_same_on_every_tab(opened: Open) -> None:
    made = opened.bench.client.post("/api/datasets", {"name": "second"}).json()["dataset_id"]
    opened.page.reload()
    opened.show("Export")
    opened.page.locator(".gt-switcher").select_option(str(made))
    expect(opened.page.locator("#gw-export h2")).to_have_text("second")
    opened.show("Label")
    expect(opened.page.get_by_test_id("dataset-select")).to_have_value(str(made))
    opened.page.get_by_test_id("dataset-select").select_option(str(opened.bench.dataset_id))
    opened.show("Export")
    expect(opened.page.locator("#gw-export h2")).to_have_text("fruit")


def test_what_cannot_be_done_now_is_disabled_and_says_why(opened: Open) -> None:
    opened.show("Teach")
    expect(opened.page.get_by_test_id("teach")).to_be_disabled()
    expect(opened.page.locator("#gw-teach")).to_contain_text("Nothing is annotated yet")


def test_a_failed_import_is_told_in_one_line(opened: Open) -> None:
    opened.show("Data")
    opened.page.get_by_label("Folder or label file").fill("/no/such/folder")
    opened.page.get_by_label("Into the dataset").fill("third")
    opened.page.get_by_role("button", name="Import", exact=True).click()
    expect(opened.page.get_by_role("alert")).to_contain_text("/no/such/folder")
    assert opened.faults == []
