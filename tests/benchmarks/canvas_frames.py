"""How long the stage takes to draw: `python3 -m tests.benchmarks.canvas_frames` prints a table.

Real Chromium, no GPU (software raster, as in a virtual machine), 1200 x 800 CSS pixels, the stage itself with
its JSON routes answered by this script. "draw" redraws everything, as panning does; "drag" is the 95th percentile
of the time between frames while one shape is dragged (a 60 Hz screen gives 16.7); "masks" paints all masks anew.
"""

import argparse
import json
import random
import shutil
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from playwright.sync_api import Page, Route, sync_playwright

from common.masks import encode_mask

WEB = Path(__file__).resolve().parents[2] / "app" / "web"
ORIGIN = "http://localhost:7860"  # nothing listens there: every request is answered below
VIEW = {"width": 1200, "height": 800}
WIDTH_PX, HEIGHT_PX = 1920, 1280
CATEGORIES: list[dict[str, Any]] = [
    {"id": n, "name": f"category {n}", "color": color, "phrases": [], "threshold": None, "coco_id": n}
    for n, color in enumerate(("#e6194b", "#3cb44b", "#4363d8", "#f58231", "#911eb4"), start=1)
]


@dataclass(frozen=True)
class Case:
    """One row of the table: how many shapes of which kind lie on the image."""

    name: str
    annotations: int = 0
    predictions: int = 0
    masks: bool = False


CASES = (
    Case("200 boxes", annotations=200),
    Case("1000 boxes", annotations=1000),
    Case("2000 boxes", annotations=2000),
    Case("5000 boxes", annotations=5000),
    Case("500 predictions, dashed", predictions=500),
    Case("2000 predictions", predictions=2000),
    Case("500 masks", annotations=500, masks=True),
)


def main() -> None:
    """Measure every case and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40, help="frames measured for each case")
    frames: int = parser.parse_args().frames
    print("| shapes | draw, median ms | draw, p95 ms | drag, p95 ms | masks, ms |")
    print("|---|---|---|---|---|")
    with browser_page() as page:
        for case in CASES:
            print(row(page, case, frames), flush=True)


@contextmanager
def browser_page() -> Iterator[Page]:
    """A page of Debian's Chromium, or of the one Playwright brought."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser.new_page(viewport={"width": VIEW["width"], "height": VIEW["height"]})
        browser.close()


def row(page: Page, case: Case, frames: int) -> str:
    """One line of the table."""
    page.unroute_all()
    page.route("**/*", answering(shapes_reply(case)))
    page.goto(f"{ORIGIN}/")
    page.wait_for_function("window.groundwork?.ready()")
    page.wait_for_timeout(300)
    times: list[float] = page.evaluate(
        "(frames) => Array.from({length: frames}, () => groundwork.frameMs())", frames + 5
    )
    drawn = sorted(times[5:])  # the first ones warm up
    masks = f"{mask_ms(page):.0f}" if case.masks else "-"
    p95 = drawn[int(0.95 * (len(drawn) - 1))]
    return f"| {case.name} | {statistics.median(drawn):.1f} | {p95:.1f} | {drag_ms(page, frames):.1f} | {masks} |"


def mask_ms(page: Page) -> float:
    """Milliseconds from switching the masks on to having them painted."""
    toggle = "document.querySelector('[data-testid=masks]').click()"
    timed = f"(() => {{ {toggle}; const start = performance.now(); {toggle}; return performance.now() - start; }})()"
    return statistics.median(float(page.evaluate(timed)) for _ in range(5))


def drag_ms(page: Page, frames: int) -> float:
    """95th percentile of the time between frames while the first shape is dragged, in ms."""
    x1, y1, x2, y2 = page.evaluate("groundwork.shapes()[0].client")
    page.mouse.move((x1 + x2) / 2, (y1 + y2) / 2)
    page.mouse.down()
    page.evaluate(
        """() => { window.stamps = []; const tick = (now) => { stamps.push(now); requestAnimationFrame(tick); };
        requestAnimationFrame(tick); }"""
    )
    for step in range(frames):
        page.mouse.move((x1 + x2) / 2 + step, (y1 + y2) / 2 + step % 7)
    stamps: list[float] = page.evaluate("window.stamps")
    page.mouse.up()
    gaps = sorted(after - before for before, after in pairwise(stamps))
    return gaps[int(0.95 * (len(gaps) - 1))]


def shapes_reply(case: Case) -> dict[str, Any]:
    """What `GET /api/images/1/shapes` answers."""
    chance = random.Random(0)
    made = [shape(chance, n, case.masks) for n in range(case.annotations + case.predictions)]
    return {
        "image": image_row() | {"revision": 0},
        "categories": CATEGORIES,
        "annotations": [one | {"source": "person", "score": None} for one in made[: case.annotations]],
        "predictions": [one | {"score": 0.9} for one in made[case.annotations :]],
        "can_undo": False,
        "can_redo": False,
    }


def shape(chance: random.Random, number: int, masked: bool) -> dict[str, Any]:
    """A box of 20 to 140 px a side, with an ellipse as its mask when asked."""
    w, h = chance.uniform(20, 140), chance.uniform(20, 140)
    x, y = chance.uniform(0, WIDTH_PX - w), chance.uniform(0, HEIGHT_PX - h)
    return {
        "id": number,
        "category_id": number % len(CATEGORIES) + 1,
        "xyxy": [x, y, x + w, y + h],
        "mask": encode_mask(ellipse(x, y, w, h)) if masked else None,
        "checkpoint": None,
        "prompt": None,
        "created_by": "bench",
        "updated_by": None,
    }


def ellipse(x: float, y: float, w: float, h: float) -> np.ndarray[tuple[int, int], np.dtype[np.bool_]]:
    """(HEIGHT_PX, WIDTH_PX) bool: the ellipse in that box."""
    rows, columns = np.ogrid[:HEIGHT_PX, :WIDTH_PX]
    inside: np.ndarray[tuple[int, int], np.dtype[np.bool_]] = (
        ((columns - x - w / 2) / (w / 2)) ** 2 + ((rows - y - h / 2) / (h / 2)) ** 2
    ) < 1
    return inside


def image_row() -> dict[str, Any]:
    """The one image, as the list shows it."""
    size = {"width": WIDTH_PX, "height": HEIGHT_PX}
    return {"id": 1, "file_name": "noise.jpg", "split": None, "done": False, "annotations": 0, "pending": 0} | size


def answering(shapes: dict[str, Any]) -> Callable[[Route], None]:
    """Answers every request of the stage: its own files, and just enough of the JSON routes."""
    dataset = {"id": 1, "name": "bench", "images": 1, "done": 0, "annotations": 0, "pending": 0, "prompt": None}
    replies: dict[str, Any] = {
        "/api/status": {"workspace": "bench"},
        "/api/datasets": {"datasets": [dataset]},
        "/api/datasets/1/images": {"total": 1, "items": [image_row()]},
        "/api/datasets/1/categories": {"categories": CATEGORIES},
        "/api/images/1/shapes": shapes,
    }
    picture = noise_jpeg()

    def answer(route: Route) -> None:
        path = route.request.url.removeprefix(ORIGIN).split("?")[0]
        if path == "/":
            route.fulfill(body=page_html(), content_type="text/html; charset=utf-8")
        elif path.startswith("/web/"):
            kind = "text/css" if path.endswith(".css") else "text/javascript"
            route.fulfill(body=(WEB / path.removeprefix("/web/")).read_text("utf-8"), content_type=kind)
        elif path in ("/api/images/1/pixels", "/api/images/1/thumbnail"):
            route.fulfill(body=picture, content_type="image/jpeg")
        else:
            route.fulfill(body=json.dumps(replies.get(path, {})), content_type="application/json")

    return answer


def page_html() -> str:
    """A page with nothing but the stage."""
    styles = "".join(f'<link rel="stylesheet" href="/web/{name}">' for name in ("tokens.css", "stage.css"))
    start = "import('/web/main.mjs').then((module) => module.mount(document.body))"
    template = (WEB / "stage.html").read_text("utf-8")
    return f"<!doctype html><meta charset=utf-8>{styles}<body>{template}<script type=module>{start}</script>"


def noise_jpeg() -> bytes:
    """A picture that does not compress to nothing."""
    pixels = np.random.default_rng(0).integers(0, 255, (HEIGHT_PX // 8, WIDTH_PX // 8, 3), dtype=np.uint8)
    out = BytesIO()
    Image.fromarray(pixels).resize((WIDTH_PX, HEIGHT_PX)).save(out, "JPEG", quality=85)
    return out.getvalue()


if __name__ == "__main__":
    main()
