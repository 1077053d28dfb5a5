"""Rendered scenes with captions and expressions, as ODVG beside COCO in a folder (docs/odvg.md)."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from annotations.captions import CaptionText, Phrase
from common.publish import published_folder
from training.worlds.coco import CocoWriter, check_amount
from training.worlds.concepts import THINGS
from training.worlds.nouns import TOLD_CONCEPTS, TOLD_SHAPES, category_of
from training.worlds.relations import TextRules, captioned_scene
from training.worlds.scenes import Scene

TOLD_THINGS = (*TOLD_CONCEPTS, *TOLD_SHAPES)


@dataclass(frozen=True)
class Written:
    """How much a folder of captioned scenes holds."""

    boxes: int
    captions: int
    expressions: int


def write_captioned_scenes(
    folder: Path, count: int, seed: int, *, longest_px: int = 480, texts: TextRules | None = None
) -> Written:
    """Render `count` scenes into a new `folder`: images/, annotations.json, annotations.odvg.jsonl, label_map.json.

    The same arguments give the same scenes and texts. Scene i does not depend on `count`.

    Raises:
        FontMissing: the emoji font is not installed.
        FileExistsError: `folder` exists.
        ValueError: `count` is below 1 or `longest_px` below 64.
    """
    check_amount(count, longest_px)
    captions: list[CaptionText] = []
    with published_folder(folder) as temporary:
        writer = CocoWriter(temporary, TOLD_THINGS)
        with (temporary / "annotations.odvg.jsonl").open("w", encoding="utf-8") as file:
            for index in range(count):
                captioned = captioned_scene(seed, index, longest_px=longest_px, texts=texts)
                captions += captioned.captions
                for line in odvg_lines(captioned.scene, captioned.captions, writer.add(captioned.scene)):
                    file.write(json.dumps(line) + "\n")
        names = {str(place): THINGS[thing].name for place, thing in enumerate(TOLD_THINGS)}
        (temporary / "label_map.json").write_text(json.dumps(names), encoding="utf-8")
        boxes = writer.finish()
    said = sum(caption.kind == "expression" for caption in captions)
    return Written(boxes, len(captions) - said, said)


def odvg_lines(scene: Scene, captions: Sequence[CaptionText], file_name: str) -> Iterator[dict[str, Any]]:
    """The lines about one scene: one of its boxes, one for each text."""
    height, width = scene.image.shape[:2]
    start: dict[str, Any] = {"filename": file_name, "height": height, "width": width}
    categories = [category_of(label) for label in scene.labels.tolist()]
    instances = [
        {"bbox": box, "label": TOLD_THINGS.index(category), "category": THINGS[category].name}
        for box, category in zip(scene.boxes_xyxy.tolist(), categories, strict=True)
    ]
    yield {**start, "detection": {"instances": instances}}
    for caption in captions:
        regions = [_region(phrase, caption.text) for phrase in caption.phrases]
        is_expression = caption.kind == "expression"  # "two cats" with all its words marked could be either
        yield {**start, "grounding": {"caption": caption.text, "regions": regions, "expression": is_expression}}


def _region(phrase: Phrase, text: str) -> dict[str, Any]:
    words = [text[start:end] for start, end in phrase.spans]
    boxes = phrase.boxes_xyxy.tolist()
    return {
        "bbox": boxes[0] if len(boxes) == 1 else boxes,
        "phrase": words[0] if len(words) == 1 else words,
        "tokens_positive": [list(span) for span in phrase.spans],
    }
