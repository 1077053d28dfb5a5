"""What every detector can do, whatever network is behind it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import supervision as sv

from engine.errors import EngineError, PromptError, quoted
from engine.ontology import Ontology
from engine.preprocessing import AnyPicture, Picture, Preprocessing, pixels_of
from engine.prompts import Span


@dataclass(frozen=True)
class Caption:
    """A sentence with the phrases to find boxes for.

    Attributes:
        text: the sentence as people wrote it.
        spans: the characters [start, end) of each phrase; a detection's `class_id` is an index into them.
        owners: where phrases stand in several pieces ("a man ... with a hat") the phrase that each span belongs to,
            counted from 0 without a gap; None: each span is a phrase.

    Raises:
        PromptError: there is no phrase, a span is outside the text, or the owners do not fit the spans.
    """

    text: str
    spans: tuple[Span, ...]
    owners: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        if not self.spans:
            raise PromptError(f"Caption {quoted(self.text)} names nothing to find. Write a sentence with a noun.")
        if self.owners is not None and (
            len(self.owners) != len(self.spans) or set(self.owners) != set(range(max(self.owners) + 1))
        ):
            raise PromptError(f"{len(self.spans)} spans of {quoted(self.text)} came with owners {self.owners}.")
        for start, end in self.spans:
            if not 0 <= start < end <= len(self.text):
                raise PromptError(
                    f"Span {start}:{end} is not inside the {len(self.text)} characters of {quoted(self.text)}. "
                    "Give [start, end)."
                )

    @property
    def phrases(self) -> tuple[str, ...]:
        """The text of each phrase, its pieces joined by a space."""
        pieces = [self.text[start:end] for start, end in self.spans]
        if self.owners is None:
            return tuple(pieces)
        owned = list(zip(self.owners, pieces, strict=True))
        return tuple(" ".join(piece for own, piece in owned if own == phrase) for phrase in sorted(set(self.owners)))


class Detector(Protocol):
    """Finds what words describe. Results are `sv.Detections`, best first, one class an entry:

    `xyxy` float32 pixels of the picture, clipped to it; `confidence` a probability; `class_id`;
    `data["class_name"]` and `data["phrase"]`, the words that gave the score.
    """

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda", "mps"."""

    def detect(
        self, images: Sequence[Picture], ontology: Ontology, *, threshold: float = 0.3, top_k: int = 300
    ) -> list[sv.Detections]:
        """The objects of each category on each picture; `class_id` is an index into `ontology.categories`."""

    def ground(
        self,
        images: Sequence[Picture],
        captions: Sequence[str | Caption],
        *,
        threshold: float = 0.3,
        top_k: int = 300,
    ) -> list[sv.Detections]:
        """The boxes of each phrase of each picture's own caption; `class_id` is an index into its phrases."""

    def refer(
        self, images: Sequence[Picture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        """The one box that each picture's own expression means, or none below the threshold; or the `top_k` best."""


class BatchDetector(Detector, Protocol):
    """A detector for thousands of pictures: they may come resized, by other processes for example."""

    @property
    def resizing(self) -> Preprocessing | None:
        """How pictures may be resized ahead of it, as `Resized`; None: it wants them whole."""

    @property
    def batch_size(self) -> int:
        """Pictures that it looks at together where they are of one resized size."""

    def look(self, images: Sequence[AnyPicture]) -> None:
        """Make what it keeps of pictures, so that a question about them is answered sooner."""

    def spare_memory(self) -> None:
        """Let go of all that is kept, and take as little memory as it can from now on."""

    def detect(
        self,
        images: Sequence[AnyPicture],
        ontology: Ontology,
        *,
        threshold: float = 0.3,
        top_k: int = 300,
        second_pass: bool = False,
    ) -> list[sv.Detections]:
        """As `Detector.detect`; boxes are in pixels of the original.

        With a second pass, names that were asked in several prompts stand against each other; it changes nothing for a
        detector whose names never do.
        """

    def ground(
        self,
        images: Sequence[AnyPicture],
        captions: Sequence[str | Caption],
        *,
        threshold: float = 0.3,
        top_k: int = 300,
    ) -> list[sv.Detections]:
        """As `Detector.ground`; boxes are in pixels of the original."""

    def refer(
        self, images: Sequence[AnyPicture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        """As `Detector.refer`; boxes are in pixels of the original."""


def check_request(images: Sequence[AnyPicture], threshold: float, texts: int | None = None) -> None:
    """Refuse what is no picture, no probability, or not one text a picture.

    Raises:
        EngineError: any of these.
    """
    if not 0 <= threshold <= 1:
        raise EngineError(f"Threshold {threshold:g} is not between 0 and 1. Give a probability, for example 0.3.")
    if texts is not None and texts != len(images):
        raise EngineError(f"{len(images)} pictures came with {texts} texts. Give one a picture.")
    for given in images:
        image = pixels_of(given)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or not image.size:
            raise EngineError(
                f"A picture is {image.dtype} of shape {image.shape}, not uint8 (H, W, 3). "
                "Read it with common.images.read_image."
            )
