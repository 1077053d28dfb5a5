"""Each way to ask by one click on an example, and by hand: with a detector that is sure of all it is asked for."""

import re
from collections.abc import Iterator

import pytest
import torch
from playwright.sync_api import Page, expect
from transformers import MMGroundingDinoForObjectDetection

from app.services.examples import examples
from tests.e2e.conftest import Server, start_server, stop_server
from tests.e2e.stage import Stage
from tests.tiny_checkpoint import save_tiny_checkpoint

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CATEGORIES = {
    "detect": ("coffee", "croissant", "fried egg", "pancakes"),
    "ground": ("red tomatoes", "green frog"),
    "refer": ("the larger of the two rabbits",),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Random weights, but sure: every score is close to 1, so that what is asked shows and what is not does not."""
    folder = save_tiny_checkpoint(tmp_path_factory.mktemp("sure") / "sure")
    model = MMGroundingDinoForObjectDetection.from_pretrained(folder)
    for head in model.class_embed:
        torch.nn.init.constant_(head.bias, 40.0)
    model.save_pretrained(folder)
    server = start_server(tmp_path_factory.mktemp("examples"), "--detector", str(folder))
    yield server
    stop_server(server)


@pytest.fixture
def stage(page: Page, server: Server) -> Stage:
    page.goto(server.url)
    stage = Stage(page)
    page.wait_for_function(
        "() => document.querySelector('[data-testid=welcome]')?.checkVisibility() || window.groundwork?.ready()"
    )
    if not stage.part("welcome").is_visible():
        stage.part("open-data").click()
    return stage


def found(stage: Stage, file: str) -> set[str]:
    """The categories of what waits for review on this picture, once something does."""
    expect(stage.part("welcome")).to_be_hidden()
    expect(stage.page.locator("[data-testid=image-item][aria-selected=true]")).to_have_attribute("title", file)
    stage.ready()
    stage.until("g.shapes().some((shape) => shape.kind === 'prediction')")
    return {str(shape["category"]) for shape in stage.shapes("prediction")}


@pytest.mark.parametrize("task", ["detect", "ground", "refer"])
def test_one_click_on_an_example_asks_its_question(stage: Stage, task: str) -> None:
    example = next(each for each in examples() if each.task == task)
    stage.page.locator(f"[data-testid=example][data-task={task}]").first.click()
    assert found(stage, example.file) <= set(CATEGORIES[task])
    expect(stage.part("message")).to_have_text(re.compile("Found"))
    expect(stage.part("prompt")).to_have_value(example.prompt)
    expect(stage.part(f"ask-{task}")).to_have_attribute("aria-checked", "true")
    assert stage.page.get_by_test_id("image-item").count() == len(examples())  # opened three times, there once
    if task == "refer":
        assert len(stage.shapes("prediction")) == 1


def test_another_example_offers_its_own_question(stage: Stage) -> None:
    stage.page.locator("[data-testid=example][data-task=detect]").first.click()
    found(stage, "breakfast.jpg")
    expect(stage.part("try-example")).to_be_hidden()
    stage.page.get_by_title("rabbits.jpg").click()
    stage.ready()
    expect(stage.part("try-example")).to_have_text("Try: the larger of the two rabbits")
    stage.part("try-example").click()
    assert found(stage, "rabbits.jpg") == {"the larger of the two rabbits"}
    expect(stage.part("ask-refer")).to_have_attribute("aria-checked", "true")
    expect(stage.part("try-example")).to_be_hidden()


def test_the_way_to_ask_is_chosen_by_keys_and_kept_for_the_dataset(stage: Stage) -> None:
    stage.part("open-examples").click()
    expect(stage.part("welcome")).to_be_hidden()
    stage.ready()
    image = stage.page.evaluate("() => window.groundwork.imageId()")
    stage.part("ask-detect").click()
    stage.page.keyboard.press("ArrowRight")
    expect(stage.part("ask-ground")).to_be_focused()
    expect(stage.part("prompt")).to_have_attribute("placeholder", "a cat left of two dogs")
    stage.page.keyboard.press("Tab")
    expect(stage.part("prompt")).to_be_focused()
    stage.page.keyboard.press("ControlOrMeta+a")
    stage.page.keyboard.type("a cup beside two plates")
    stage.page.reload()
    stage.ready()
    expect(stage.part("ask-ground")).to_have_attribute("aria-checked", "true")
    expect(stage.part("prompt")).to_have_value("a cup beside two plates")
    assert stage.page.evaluate("() => window.groundwork.imageId()") == image
    stage.part("prompt").press("Enter")
    stage.until("g.shapes().some((shape) => ['cup', 'plates'].includes(shape.category))")
