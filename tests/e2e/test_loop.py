"""The whole loop as a newcomer goes through it: examples, prompt, correct, reload, teach, promote, export."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from pycocotools.coco import COCO

from tests.e2e.conftest import Server
from tests.e2e.stage import Stage, only

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def open_first_example(stage: Stage) -> None:
    """From the empty state or from a dataset that is there already."""
    if stage.part("open-examples").is_visible():
        stage.part("open-examples").click()
    stage.ready()
    stage.page.get_by_test_id("image-item").first.click()
    stage.ready()


def test_a_newcomer_finds_corrects_and_keeps_what_the_detector_sees(stage: Stage) -> None:
    expect(stage.part("open-examples")).to_be_visible()
    open_first_example(stage)
    stage.detect("coffee. croissant. fried egg. pancakes.")

    # Accept what is shown above the slider.
    stage.part("accept-all").click()
    stage.saved()
    accepted = stage.shapes("annotation")
    assert accepted
    assert all(shape["source"] == "model" and shape["score"] > 0 for shape in accepted)

    # Draw one, where nothing is.
    stage.draw((4, 4, 24, 20))
    stage.until("g.shapes().some((shape) => shape.source === 'person')")
    stage.saved()
    drawn = only(stage.shapes("annotation"), lambda shape: shape["source"] == "person")
    assert drawn["xyxy"] == pytest.approx([4, 4, 24, 20], abs=1.5)

    # Drag it by ten pixels of the image.
    stage.click(drawn)
    stage.drag(stage.on_page(14, 12), stage.on_page(24, 22))
    stage.saved()
    moved = only(stage.shapes("annotation"), lambda shape: shape["id"] == drawn["id"])
    assert moved["xyxy"] == pytest.approx([side + 10 for side in drawn["xyxy"]], abs=1.5)

    # Relabel it by a number key.
    stage.click(moved)
    first = stage.part("category-item").first.get_attribute("data-category-id")
    other = "2" if str(moved["category_id"]) == first else "1"
    stage.page.keyboard.press(other)
    stage.until(f"g.shapes().find((s) => s.id === '{moved['id']}').category_id !== {moved['category_id']}")
    stage.saved()
    before = {shape["id"]: (shape["category"], shape["xyxy"]) for shape in stage.shapes("annotation")}

    # All of it is there after a reload.
    image = stage.page.evaluate("() => window.groundwork.imageId()")
    stage.page.reload()
    stage.ready()
    assert stage.page.evaluate("() => window.groundwork.imageId()") == image
    after = {shape["id"]: (shape["category"], shape["xyxy"]) for shape in stage.shapes("annotation")}
    assert after == before


def test_undo_and_redo_survive_a_reload(stage: Stage) -> None:
    open_first_example(stage)
    stage.page.get_by_test_id("image-item").nth(1).click()
    stage.ready()
    if not stage.part("category-item").count():
        stage.detect("dog. car. bicycle.")
    stage.draw((10, 10, 60, 50))
    stage.saved()
    count = len(stage.shapes("annotation"))
    stage.page.reload()
    stage.ready()
    assert len(stage.shapes("annotation")) == count
    stage.part("undo").click()
    stage.until(f"g.shapes().filter((s) => s.kind === 'annotation').length === {count - 1}")
    stage.part("redo").click()
    stage.until(f"g.shapes().filter((s) => s.kind === 'annotation').length === {count}")
    stage.saved()


def test_the_slider_acts_on_stored_scores_without_the_model(stage: Stage) -> None:
    open_first_example(stage)
    stage.page.get_by_test_id("image-item").filter(has_text="music.jpg").click()
    stage.ready()
    stage.detect("violin. piano. trumpet.")
    requests: list[str] = []
    stage.page.on("request", lambda request: requests.append(request.url))
    slider = stage.part("threshold")
    slider.fill("0.06")
    many = len(stage.shapes("prediction"))
    slider.fill("0.9")
    few = len(stage.shapes("prediction"))
    assert many > few
    assert not [url for url in requests if "/detect" in url or "/shapes" in url]


def test_teach_learns_and_is_put_to_work(stage: Stage, server: Server) -> None:
    open_first_example(stage)
    page = stage.page
    page.get_by_role("tab", name="Teach").click()
    teach = page.get_by_test_id("teach")
    expect(teach).to_be_enabled()
    page.get_by_placeholder("chosen to fit").fill("4")
    page.get_by_placeholder("chosen for you").fill("mine")
    teach.click()
    promote = page.get_by_test_id("promote")
    expect(promote).to_be_visible(timeout=600_000)
    assert (server.workspace / "checkpoints" / "mine" / "model.safetensors").exists()
    promote.click()
    expect(page.get_by_text("at work on the Label tab")).to_be_visible()
    expect(page.locator(".gt-head")).to_contain_text("mine")


def test_the_export_loads_with_pycocotools_and_has_equal_counts(stage: Stage, server: Server) -> None:
    open_first_example(stage)
    page = stage.page
    expected = page.evaluate("async () => (await (await fetch('/api/datasets')).json()).datasets[0].annotations")
    page.get_by_role("tab", name="Export").click()
    page.get_by_role("button", name="Export", exact=True).click()
    expect(page.get_by_text("read back with pycocotools and counted: equal")).to_be_visible()
    (folder,) = [path for path in (server.workspace / "exports").iterdir() if path.is_dir()]
    coco = COCO(str(folder / "annotations.json"))
    assert len(coco.anns) == expected
    assert len(coco.imgs) == len(list(Path("app/examples/scenes").glob("*.jpg")))


def test_the_page_fetches_nothing_from_elsewhere(page: Page, server: Server) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(server.url)
    Stage(page).ready()
    for tab in ("Teach", "Models", "Export", "Data", "Label"):
        page.get_by_role("tab", name=tab).click()
    page.wait_for_timeout(500)
    foreign = [url for url in asked if not url.startswith((server.url, "data:", "blob:"))]
    assert foreign == []
