"""All that one dataset teaches: boxes of categories, and texts with the boxes they mean."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from annotations.captions import CaptionedImage, CaptionText, Phrase, captioned_images
from annotations.queries import categories, dataset_by_name
from common.publish import published_file
from engine.ontology import Category
from training.dataset import LabelledDataset, from_document, read_dataset, to_document


@dataclass(frozen=True)
class Material:
    """A dataset as it was when a run began.

    Attributes:
        id: of the dataset in the database.
        name: what people call it.
        labels: its categories and the images with boxes of them; None: it has no category, only texts.
        captioned: its images with captions or expressions, of every split.
    """

    id: int
    name: str
    labels: LabelledDataset | None
    captioned: tuple[CaptionedImage, ...] = ()

    @property
    def categories(self) -> tuple[Category, ...]:
        """What it has names for."""
        return self.labels.ontology.categories if self.labels else ()

    @cached_property
    def snapshot_id(self) -> str:
        """SHA-256 of everything people said: equal for equal labels, whatever the database and the folder."""
        document = _document(self)
        document.pop("id")
        for part in ("labels", "captioned"):
            for image in (document[part] or {}).get("images", []):
                for key in ("id", "path"):
                    del image[key]
        if document["labels"]:
            del document["labels"]["id"]
        for image in document["captioned"]["images"]:
            for text in image["texts"]:
                del text["id"]
        text = json.dumps(document, sort_keys=True, ensure_ascii=False)
        return hashlib.sha256(text.encode()).hexdigest()


def read_material(session: Session, name: str) -> Material:
    """The dataset called `name` as it is now.

    Raises:
        NotFound: there is none of this name.
        NothingToTrain: it has neither a category nor a caption.
        PromptError: a category's phrases can't be asked for.
    """
    dataset = dataset_by_name(session, name)
    captioned = tuple(captioned_images(session, dataset.id))
    has_labels = not captioned or bool(categories(session, dataset.id))
    return Material(dataset.id, dataset.name, read_dataset(session, name) if has_labels else None, captioned)


def save_material(material: Material, path: Path) -> None:
    """Write it as JSON, so that a run can be resumed on exactly what it started with."""
    document = {"snapshot": material.snapshot_id, **_document(material)}
    with published_file(path) as aside:
        aside.write_text(json.dumps(document), encoding="utf-8")


def load_material(path: Path) -> Material:
    """What `save_material` wrote."""
    document = json.loads(path.read_text(encoding="utf-8"))
    labels = from_document(document["labels"]) if document["labels"] else None
    captioned = tuple(_image_from_json(facts) for facts in document["captioned"]["images"])
    return Material(document["id"], document["name"], labels, captioned)


def _document(material: Material) -> dict[str, Any]:
    return {
        "id": material.id,
        "name": material.name,
        "labels": to_document(material.labels) if material.labels else None,
        "captioned": {"images": [_image_to_json(image) for image in material.captioned]},
    }


def _image_to_json(image: CaptionedImage) -> dict[str, Any]:
    return {
        "id": image.id,
        "path": image.path,
        "file_name": image.file_name,
        "width": image.width,
        "height": image.height,
        "split": image.split,
        "texts": [
            {"id": text.id, "text": text.text, "kind": text.kind, "phrases": [_phrase_to_json(p) for p in text.phrases]}
            for text in image.captions
        ],
    }


def _phrase_to_json(phrase: Phrase) -> dict[str, Any]:
    return {"spans": [list(span) for span in phrase.spans], "boxes_xyxy": phrase.boxes_xyxy.tolist()}


def _image_from_json(facts: Mapping[str, Any]) -> CaptionedImage:
    texts = tuple(
        CaptionText(text["id"], text["text"], text["kind"], tuple(_phrase_from_json(p) for p in text["phrases"]))
        for text in facts["texts"]
    )
    shared = {key: facts[key] for key in ("id", "path", "file_name", "width", "height", "split")}
    return CaptionedImage(**shared, captions=texts)


def _phrase_from_json(facts: Mapping[str, Any]) -> Phrase:
    spans = tuple((int(start), int(end)) for start, end in facts["spans"])
    return Phrase(spans, np.array(facts["boxes_xyxy"], np.float32).reshape(-1, 4))
