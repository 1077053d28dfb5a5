"""One key between a box drawn in a hurry and one that fits."""

import json

import numpy as np
import pytest

from app.services.examples import EXAMPLES
from common.boxes import iou
from tests.e2e.stage import Stage, only

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_a_loose_box_is_tightened_to_its_object_by_one_key(stage: Stage) -> None:
    stage.part("open-examples").click()
    stage.ready()
    stage.page.get_by_test_id("image-item").first.click()
    stage.ready()
    stage.detect("coffee. croissant. fried egg. pancakes.")  # categories to draw with
    stage.page.get_by_test_id("image-item").filter(has_text="rabbits.jpg").click()
    stage.until("g.ready() && g.shapes().length === 0")
    rabbits = json.loads((EXAMPLES / "examples.json").read_text(encoding="utf-8"))["images"][4]
    left, top, right, bottom = rabbits["answers"][0]["xyxy"]
    loose = (left - 14, top - 14, right + 14, bottom + 14)
    stage.draw(loose)
    stage.until("g.shapes().length === 1")
    stage.saved()
    (mine,) = stage.shapes("annotation")
    stage.click(mine)
    stage.page.keyboard.press("t")
    area = (mine["xyxy"][2] - mine["xyxy"][0]) * (mine["xyxy"][3] - mine["xyxy"][1])
    stage.until(f"(([x1, y1, x2, y2]) => (x2 - x1) * (y2 - y1) < {0.95 * area})(g.shapes()[0].xyxy)")
    stage.saved()
    tight = only(stage.shapes("annotation"), lambda shape: shape["id"] == mine["id"])
    truth = np.array([[left, top, right, bottom]], np.float32)
    assert not tight["has_mask"]
    overlaps = iou(np.array([mine["xyxy"], tight["xyxy"]], np.float32), truth)[:, 0]
    assert overlaps[1] > overlaps[0]
    stage.page.keyboard.press("Control+z")
    stage.until(f"Math.abs(g.shapes().find((s) => s.id === '{mine['id']}').xyxy[0] - {mine['xyxy'][0]}) < 0.01")
    stage.saved()
