"""One question about all images: asked once, and again only when somebody wants that."""

import pytest

from tests.e2e.stage import Stage

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ALREADY = "All of them had this answer already; Shift-click asks again."


def told(stage: Stage, already: bool, timeout_ms: float = 90_000) -> None:
    """Wait until the page tells of all six images."""
    condition = f"text.includes('on 6 images') && text.includes({ALREADY!r}) === {str(already).lower()}"
    message = "document.querySelector('[data-testid=message]').textContent"
    stage.page.wait_for_function(f"((text) => {condition})({message})", timeout=timeout_ms)


def test_all_images_are_asked_once_and_again_with_shift(stage: Stage) -> None:
    stage.part("open-examples").click()
    stage.ready()
    stage.part("prompt").fill("carrot. tomato.")
    stage.part("detect-all").click()
    told(stage, already=False)
    stage.part("detect-all").click()
    told(stage, already=True)
    stage.part("detect-all").click(modifiers=["Shift"])
    told(stage, already=False)
    stage.part("detect-all").click()
    told(stage, already=True)
    stage.part("detect-tiles").check()  # another way to look
    stage.part("detect-all").click()
    told(stage, already=False, timeout_ms=300_000)
