"""launch.py detect: what is on these images, without a dataset."""

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from app.commands.terminal import ProgressBar, print_document, say
from app.services import opened
from common.images import ImageRefused, ImageRGB, read_image
from common.masks import encode_mask
from common.publish import published_file

if TYPE_CHECKING:
    import supervision as sv

    from app.services.models import Models
    from engine.detector import BatchDetector
    from engine.tiles import TiledDetector


def run(arguments: argparse.Namespace) -> int:
    """Detect on each image; a broken one is named and skipped, and makes the exit code 1."""
    with opened(arguments.workspace, arguments.database, arguments.detector, arguments.segmenter) as services:
        from engine.ontology import Ontology

        if arguments.task == "detect":
            Ontology.from_prompt(arguments.prompt)  # a bad prompt is told before any weights are loaded
        detector = services.models.detector()
        documents: list[dict[str, object]] = []
        failed = 0
        started = time.monotonic()
        progress = ProgressBar("detecting")
        for number, path in enumerate(arguments.images, start=1):
            try:
                image = read_image(path)
            except ImageRefused as refused:
                say(str(refused))
                failed += 1
                continue
            looking = detector if arguments.tiles is None else tiled(detector, arguments.tiles, path)
            found = find(looking, image, arguments.prompt, arguments.task, arguments.threshold)
            if arguments.masks and len(found) and found.mask is None:
                found = with_masks(services.models, image, found)
            documents.append(image_document(path, image, found))
            if arguments.output:
                draw(arguments.output, path, image, found)
            if not (arguments.json or arguments.output):
                print_table(path, found)
            progress(number, len(arguments.images))
        for note in detector.notes:
            say(note)
        seconds = round(time.monotonic() - started, 3)
        if arguments.json:
            print_document({"images": documents, "detector": detector.name, "seconds": seconds})
    return 1 if failed else 0


def tiled(detector: "BatchDetector", tile_px: int, path: Path) -> "TiledDetector":
    """The detector that looks at an image in tiles and says how far it is; 0: tiles that suit the detector."""
    from engine.tiles import TiledDetector

    return TiledDetector(detector, tile_px or None, progress=ProgressBar(f"tiles of {path.name!r}"))


def find(detector: "BatchDetector", image: ImageRGB, prompt: str, task: str, threshold: float) -> "sv.Detections":
    """The detections of one image for one of the three tasks."""
    from engine.doubles import without_doubles
    from engine.ontology import Ontology

    if task == "ground":
        return detector.ground([image], [prompt], threshold=threshold)[0]
    if task == "refer":
        return detector.refer([image], [prompt], threshold=threshold)[0]
    (found,) = detector.detect([image], Ontology.from_prompt(prompt), threshold=threshold, second_pass=True)
    return without_doubles(found)


def with_masks(models: "Models", image: ImageRGB, found: "sv.Detections") -> "sv.Detections":
    """The same detections with a mask each."""
    segmenter = models.segmenter()
    segmenter.set_image(image)
    found.mask = segmenter.predict(boxes_xyxy=found.xyxy.astype(np.float32))
    return found


def image_document(path: Path, image: ImageRGB, found: "sv.Detections") -> dict[str, object]:
    """What `detect --json` says of one image."""
    height, width = image.shape[:2]
    rows = [detection_document(found, index) for index in range(len(found))]
    return {"file": str(path), "width": width, "height": height, "detections": rows}


def detection_document(found: "sv.Detections", index: int) -> dict[str, object]:
    """What `detect --json` says of one detection."""
    assert found.confidence is not None
    document: dict[str, object] = {
        "category": str(found.data["class_name"][index]),
        "score": round(float(found.confidence[index]), 4),
        "xyxy": [round(float(side), 2) for side in found.xyxy[index]],
    }
    if "phrase" in found.data:
        document["phrase"] = str(found.data["phrase"][index])
    if found.mask is not None:
        document["mask"] = encode_mask(found.mask[index])
    return document


def print_table(path: Path, found: "sv.Detections") -> None:
    """Detections for a person to read."""
    print(f"{path}: {len(found)} found")
    for index in range(len(found)):
        row = detection_document(found, index)
        print(f"  {row['score']:.2f}  {row['category']}  {_corners(found.xyxy[index])}")


def draw(folder: Path, path: Path, image: ImageRGB, found: "sv.Detections") -> None:
    """Write the picture with what was found drawn in; the original is not touched."""
    import supervision as sv
    from PIL import Image

    assert found.confidence is not None
    scene = image.copy()
    if found.mask is not None:
        scene = sv.MaskAnnotator().annotate(scene, found)
    scene = sv.BoxAnnotator().annotate(scene, found)
    names = found.data.get("class_name", [])
    labels = [f"{name} {score:.2f}" for name, score in zip(names, found.confidence, strict=True)]
    scene = sv.LabelAnnotator().annotate(scene, found, labels=labels)
    with published_file(folder / f"{path.stem}.jpg") as aside:
        Image.fromarray(scene).save(aside, "JPEG", quality=92)


def _corners(box: Sequence[float]) -> str:
    return "[" + ", ".join(f"{side:.0f}" for side in box) + "]"
