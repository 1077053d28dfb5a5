"""The images a detector did worst on, with what it missed, made up or called by a wrong name drawn in."""

import base64
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from app.services.evaluating import Measured
from app.services.markup import Markup, element, text
from common.images import read_indexed

MOST_PICTURES = 12
LONGEST_SIDE_PX = 900
_KINDS = (
    ("missed", "missed: a person's label that no box found"),
    ("false", "false: a box where no label is"),
    ("mislabelled", "mislabelled: a box called by another name"),
    ("right", "right"),
)


def worst_pictures(measured: Measured) -> Markup:
    """A section with the images of the most faults, at most 12 of them; the originals are only read."""
    order = sorted(range(len(measured.images)), key=lambda index: -measured.outcomes[index].faults)
    worst = [index for index in order[:MOST_PICTURES] if measured.outcomes[index].faults]
    if not worst:
        return Markup("")
    key = [element("b", {"class": kind}, text(words)) for kind, words in _KINDS]
    figures = [_figure(measured, index) for index in worst]
    return element(
        "section",
        {},
        element("h2", {}, text("The images with the most faults")),
        element("p", {"class": "key"}, *key),
        element("div", {"class": "pictures"}, *figures),
    )


def _figure(measured: Measured, index: int) -> Markup:
    image, outcome = measured.images[index], measured.outcomes[index]
    counts = {"missed": outcome.missed, "false": outcome.false, "mislabelled": outcome.mislabelled}
    told = ", ".join(f"{len(rows)} {kind}" for kind, rows in counts.items() if len(rows))
    size = f"0 0 {image.width} {image.height}"
    link = {"href": _picture(Path(image.path), image.width, image.height), "width": image.width, "height": image.height}
    shapes = [shape for kind, box, label in _boxes(measured, index) for shape in _box(kind, box, label, image.width)]
    drawn = element("svg", {"viewBox": size, "class": "picture"}, element("image", {**link}), *shapes)
    caption = element("figcaption", {}, text(image.file_name), element("span", {}, text(f" · {told}")))
    return element("figure", {"class": "card"}, caption, drawn)


def _boxes(measured: Measured, index: int) -> Iterator[tuple[str, list[float], str]]:
    """(kind, xyxy, words) of everything on one image, the right ones first: faults are drawn over them."""
    labels, found, outcome = measured.labels[index], measured.predictions[index], measured.outcomes[index]

    def called(prediction: int) -> str:
        return f"{measured.names[found.classes[prediction]]} {found.scores[prediction]:.2f}"

    for prediction, _ in outcome.right.tolist():
        yield "right", found.boxes_xyxy[prediction].tolist(), ""
    for label in outcome.missed.tolist():
        yield "missed", labels.boxes_xyxy[label].tolist(), measured.names[labels.classes[label]]
    for prediction in outcome.false.tolist():
        yield "false", found.boxes_xyxy[prediction].tolist(), called(prediction)
    for prediction, label in outcome.mislabelled.tolist():
        words = f"{called(prediction)}, is {measured.names[labels.classes[label]]}"
        yield "mislabelled", found.boxes_xyxy[prediction].tolist(), words


def _box(kind: str, box: list[float], words: str, image_width: int) -> Iterator[Markup]:
    x1, y1, x2, y2 = box
    place = {"x": round(x1, 1), "y": round(y1, 1), "width": round(x2 - x1, 1), "height": round(y2 - y1, 1)}
    yield element("rect", {**place, "class": f"box {kind}"})
    if words:
        size = max(image_width / 40, 1)  # the picture is scaled to its column, and its letters with it
        style = f"font-size: {size:.1f}px; stroke-width: {size / 5:.1f}px"
        yield element("text", {"x": round(x1, 1), "y": round(y1 + size, 1), "style": style}, text(words))


def _picture(path: Path, width: int, height: int) -> str:
    """The upright image, made smaller, as a data address."""
    picture = Image.fromarray(np.asarray(read_indexed(path, width, height)))
    picture.thumbnail((LONGEST_SIDE_PX, LONGEST_SIDE_PX))
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"
