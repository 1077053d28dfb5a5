"""OWLv2 (Minderer et al., arXiv:2306.09683) through transformers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import torch
from transformers import Owlv2ForObjectDetection, Owlv2ImageProcessor

from engine.detectors.inputs import ClipTexts, load_clip_texts, load_images, pixel_values
from engine.detectors.phrases import Answer
from engine.kept import Kept
from engine.preprocessing import Picture
from engine.pretrained import load_pretrained

_PHRASES_TOGETHER = 256
_TEXT_BYTES = 64_000_000


@dataclass(frozen=True)
class _Seen:
    """Pictures as the heads want them.

    Attributes:
        features: (B, Q, D) of each patch.
        boxes: (B, Q, 4) cxcywh relative to the picture.
    """

    features: torch.Tensor
    boxes: torch.Tensor


class Owlv2:
    """The `PhraseNetwork` over `Owlv2ForObjectDetection`.

    Each patch of the picture has one box, whatever is asked, and its similarity to each phrase is the score, as in
    the authors' text-conditioned detection; their objectness is for queries by image and has no part in it.
    """

    pictures_together = 8
    nms_iou: float | None = None

    def __init__(self, model: Any, texts: ClipTexts, images: Any, device: torch.device) -> None:
        self.device = device
        self.max_tokens = texts.max_tokens
        self._model = model.to(device).eval()
        self._texts, self._images = texts, images
        self._known: Kept[tuple[str, ...], torch.Tensor] = Kept(_TEXT_BYTES)

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device) -> Self:
        """The network in a folder that `engine.checkpoint_files` has checked.

        Raises:
            CheckpointRefused: its parts do not load or do not fit each other.
        """
        model: Any = load_pretrained(Owlv2ForObjectDetection, folder)
        side = int(model.config.vision_config.image_size)
        texts = load_clip_texts(folder, model.config.text_config)
        return cls(model, texts, load_images(Owlv2ImageProcessor, folder, side, do_pad=True), device)

    def tokens(self, phrase: str) -> int:
        """How many tokens are read for a phrase."""
        return self._texts.tokens(phrase)

    def fits(self, phrases: Sequence[str]) -> bool:
        """A bound on memory: phrases do not see each other."""
        return len(phrases) <= _PHRASES_TOGETHER

    def see(self, images: Sequence[Picture]) -> _Seen:
        """The patches' features and boxes.

        The image processor pads each picture on the right or bottom to a square, and boxes are relative to that.
        """
        grid, _ = self._model.image_embedder(pixel_values(self._images, images).to(self.device))  # (B, h, w, D)
        features = grid.flatten(1, 2)
        boxes = self._model.box_predictor(features, grid).float()
        padded = [[max(image.shape[:2]) / image.shape[axis] for axis in (1, 0, 1, 0)] for image in images]
        return _Seen(features, boxes * torch.tensor(padded, device=self.device)[:, None])

    def answer(self, seen: _Seen, phrases: Sequence[str]) -> Answer:
        """The boxes of all patches with the similarity to each phrase."""
        embedded = self._embedded(tuple(phrases)).expand(len(seen.features), -1, -1)
        logits, _ = self._model.class_predictor(seen.features, embedded)  # (B, Q, P)
        return Answer(seen.boxes, logits.float().sigmoid())

    def _embedded(self, phrases: tuple[str, ...]) -> torch.Tensor:
        """The phrases' embeddings (P, D)."""
        known = self._known.get(phrases)
        if known is None:
            rows = self._texts.encode(phrases, self.device)
            known = torch.nn.functional.normalize(self._model.owlv2.get_text_features(**rows).pooler_output, dim=-1)
            self._known.put(phrases, known, known.numel() * known.element_size())
        return known
