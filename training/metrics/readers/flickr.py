"""Flickr30k Entities as MDETR writes it: an image entry for each caption (final_flickr_separateGT_test.json).

The layout's own facts: `tokens_positive_eval` of an image entry lists the phrases that are scored, each a list of
[start, end) characters; `tokens_positive` of a box lists the spans of the phrases it belongs to. In the files called
mergedGT the boxes of a phrase are one already.
"""

from collections.abc import Sequence
from pathlib import Path

from training.metrics.phrases import PhraseLabels
from training.metrics.readers.document import Row, as_boxes, image_file, read_document
from training.metrics.readers.entities import read_entities
from training.metrics.readers.samples import PhraseSample, Span

_INSTEAD = "Name the JSON file, such as final_flickr_separateGT_test.json, or test.txt of the dataset itself."


def read_flickr(path: Path) -> list[PhraseSample]:
    """All captions that have a phrase with a box.

    A path to a list of images ("test.txt") is read as the authors' own layout, which says the kinds of phrases; see
    `training.metrics.readers.entities`. Here an image entry may list `phrase_types`, a list of kinds ("people") for
    each phrase; MDETR's own files have none.

    Raises:
        LayoutRefused: the file is not of this layout; the line says at which place.
    """
    if path.suffix == ".txt":
        return read_entities(path)
    document = read_document(path, _INSTEAD)
    samples = [_sample(row, document.annotations[identity]) for identity, row in document.images.items()]
    return [sample for sample in samples if any(len(boxes) for boxes in sample.labels.boxes_xyxy)]


def _sample(row: Row, annotations: Sequence[Row]) -> PhraseSample:
    image, caption = image_file(row), row.text("caption")
    spans = row.phrases("tokens_positive_eval", caption)
    boxes: list[list[tuple[float, float, float, float]]] = [[] for _ in spans]
    for annotation in annotations:
        box, own = annotation.box(image), set(annotation.spans("tokens_positive", caption))
        for phrase, its_boxes in zip(spans, boxes, strict=True):
            if own.intersection(phrase):
                its_boxes.append(box)
    labels = PhraseLabels(tuple(as_boxes(found) for found in boxes), _types(row, spans))
    return PhraseSample(image, caption, spans, labels)


def _types(row: Row, spans: Sequence[tuple[Span, ...]]) -> tuple[tuple[str, ...], ...] | None:
    given = row.values.get("phrase_types")
    if given is None:
        return None
    if (
        not isinstance(given, list)
        or len(given) != len(spans)
        or not all(isinstance(kinds, list) and all(isinstance(kind, str) for kind in kinds) for kinds in given)
    ):
        row.refuse("phrase_types", f"a list of kinds for each of its {len(spans)} phrases")
    return tuple(tuple(kinds) for kinds in given)
