"""The label page as a hand and an eye: find a shape, drag it, read what is shown."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from playwright.sync_api import Page, expect


@dataclass(frozen=True)
class Stage:
    """The label tab of an open page."""

    page: Page

    def part(self, name: str) -> Any:
        """The element with this test id."""
        return self.page.get_by_test_id(name)

    def shapes(self, kind: str | None = None) -> list[dict[str, Any]]:
        """What is on the canvas: annotations, predictions or both, with their boxes on the page."""
        shapes: list[dict[str, Any]] = self.page.evaluate("() => window.groundwork.shapes()")
        return [shape for shape in shapes if kind in (None, shape["kind"])]

    def until(self, condition: str) -> None:
        """Wait until an expression over `window.groundwork` (as g) holds."""
        self.page.wait_for_function(f"() => {{ const g = window.groundwork; return g && ({condition}); }}")

    def ready(self) -> None:
        """Wait until an image is on the canvas."""
        self.until("g.ready()")

    def saved(self) -> None:
        """Wait until the server has acknowledged every edit."""
        self.until("g.unsent() === 0")
        expect(self.part("save-state")).to_contain_text("aved")

    def detect(self, prompt: str) -> None:
        """Type a prompt, press the button, wait for what it finds."""
        self.part("prompt").fill(prompt)
        self.part("detect").click()
        self.until("g.shapes().some((shape) => shape.kind === 'prediction')")

    def drag(self, start: tuple[float, float], end: tuple[float, float]) -> None:
        """Press, move in a few steps, let go; in page coordinates."""
        mouse = self.page.mouse
        mouse.move(*start)
        mouse.down()
        mouse.move((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, steps=3)
        mouse.move(*end, steps=3)
        mouse.up()

    def draw(self, box_xyxy: tuple[float, float, float, float]) -> None:
        """Draw a box given in image pixels."""
        x1, y1, x2, y2 = box_xyxy
        self.part("tool-box").click()
        self.drag(self.on_page(x1, y1), self.on_page(x2, y2))
        self.part("tool-select").click()

    def on_page(self, x: float, y: float) -> tuple[float, float]:
        """An image point in page coordinates."""
        left, top = self.page.evaluate("([x, y]) => window.groundwork.toClient(x, y)", [x, y])
        return left, top

    def click(self, shape: dict[str, Any]) -> None:
        """Click into the middle of a shape."""
        x1, y1, x2, y2 = shape["client"]
        self.page.mouse.click((x1 + x2) / 2, (y1 + y2) / 2)


def only(shapes: list[dict[str, Any]], rule: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The one shape a rule holds for."""
    found = [shape for shape in shapes if rule(shape)]
    assert len(found) == 1, f"{len(found)} of {len(shapes)} shapes fit"
    return found[0]
