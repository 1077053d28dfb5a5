"""Flickr30k Entities as its authors give it: sentences and boxes in folders beside a list of images (test.txt).

Format: https://github.com/BryanPlummer/flickr30k_entities. Only this layout says what kinds of thing phrases name.
"""

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping
from pathlib import Path

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from annotations.names import is_inside, printable, shortened
from training.errors import LayoutRefused
from training.metrics.phrases import PhraseLabels
from training.metrics.readers.document import as_boxes
from training.metrics.readers.samples import ImageFile, PhraseSample, Span

# "[/EN#283585/people/other Two young guys]": the entity, the kinds of thing, the words
_PHRASE = re.compile(r"\[/EN#(?P<entity>\d+)(?P<kinds>(?:/[^\s/\]]+)*) (?P<words>[^\]]*[^\]\s])\s*\]")
_Boxes = Mapping[str, list[tuple[float, float, float, float]]]


def read_entities(path: Path) -> list[PhraseSample]:
    """All sentences that have a phrase with a box; phrases without one are left out.

    Args:
        path: the list of images, "test.txt", beside the folders "Sentences" and "Annotations".

    Raises:
        LayoutRefused: a file is missing or not of this layout; the line says at which place.
    """
    samples = []
    for name in _text(path).split():
        if not is_inside(name) or "/" in name:
            raise LayoutRefused(f"{path.name} lists {shortened(printable(repr(name)))}, not the number of an image.")
        image, boxes = _boxes(path.with_name("Annotations") / f"{name}.xml")
        sentences = path.with_name("Sentences") / f"{name}.txt"
        for number, line in enumerate(_text(sentences).splitlines(), start=1):
            sample = _sample(f"{sentences.name} line {number}", line, image, boxes)
            if sample is not None:
                samples.append(sample)
    return samples


def _sample(where: str, line: str, image: ImageFile, boxes: _Boxes) -> PhraseSample | None:
    """The sentence without its marks; None where no phrase of it has a box."""
    caption, end, marked = "", 0, " ".join(line.split())
    spans: list[tuple[Span, ...]] = []
    found: list[list[tuple[float, float, float, float]]] = []
    kinds: list[tuple[str, ...]] = []
    for match in _PHRASE.finditer(marked):
        caption += marked[end : match.start()]
        span = (len(caption), len(caption) + len(match["words"]))
        caption += match["words"]
        end = match.end()
        if match["entity"] in boxes:
            spans.append((span,))
            found.append(boxes[match["entity"]])
            kinds.append(tuple(match["kinds"].split("/")[1:]))
    caption += marked[end:]
    if "[/EN#" in caption:
        raise LayoutRefused(f"{where} has a phrase that is not written '[/EN#12/people a man]'. Correct the file.")
    if not spans:
        return None
    return PhraseSample(image, caption, tuple(spans), PhraseLabels(tuple(map(as_boxes, found)), tuple(kinds)))


def _boxes(path: Path) -> tuple[ImageFile, _Boxes]:
    """The image of an annotation file and the boxes of each entity that has some."""
    try:
        root = fromstring(_text(path), forbid_dtd=True)
    except (ElementTree.ParseError, DefusedXmlException, ValueError) as error:
        raise LayoutRefused(f"{path.name} is not plain XML ({printable(str(error))}). Download it again.") from error
    name = root.findtext("filename") or ""
    width, height = (_number(path, root.find("size"), side) for side in ("width", "height"))
    if not is_inside(name) or width < 1 or height < 1:
        raise LayoutRefused(f"{path.name} does not say which image it is about, or how large that is. Correct it.")
    boxes: dict[str, list[tuple[float, float, float, float]]] = {}
    for place, element in enumerate(root.iter("object"), start=1):
        for corner in element.findall("bndbox"):
            x1, y1, x2, y2 = (_number(path, corner, side) for side in ("xmin", "ymin", "xmax", "ymax"))
            if not (0 <= x1 <= x2 and 0 <= y1 <= y2 and x1 <= width and y1 <= height):
                raise LayoutRefused(f"{path.name}: object {place} has no box inside its image. Correct the file.")
            for entity in _names(element):
                boxes.setdefault(entity, []).append((x1, y1, x2, y2))
    return ImageFile(name, int(width), int(height)), boxes


def _names(element: ElementTree.Element) -> Iterator[str]:
    """The entities an object belongs to."""
    return (name.text.strip() for name in element.findall("name") if name.text)


def _number(path: Path, element: ElementTree.Element | None, key: str) -> float:
    text = (element.findtext(key) if element is not None else None) or ""
    if not re.fullmatch(r"\s*\d{1,6}(\.\d{1,6})?\s*", text, re.ASCII):
        raise LayoutRefused(
            f"{path.name} has {key!r} {shortened(printable(repr(text)))}, not pixels. Correct the file."
        )
    return float(text)


def _text(path: Path) -> str:
    if not path.is_file():
        raise LayoutRefused(f"There is no file at {str(path)!r}. Name test.txt beside Sentences and Annotations.")
    return path.read_text(encoding="utf-8", errors="replace")
