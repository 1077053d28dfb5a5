"""OmDet-Turbo (Zhao et al., arXiv:2403.06892) through transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from transformers import DetrImageProcessor, OmDetTurboConfig, OmDetTurboForObjectDetection

from engine.checkpoint_files import read_json
from engine.detectors.inputs import ClipTexts, load_clip_texts, load_images, pixel_values
from engine.detectors.phrases import Answer
from engine.detectors.timm_swin import native_config, native_weights, shift_as_timm, timm_name
from engine.kept import Kept
from engine.preprocessing import Picture
from engine.pretrained import load_pretrained, read_weights

_TEXT_BYTES = 64_000_000

_Language = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


class OmDetTurbo:
    """The `PhraseNetwork` over `OmDetTurboForObjectDetection`.

    Besides each phrase it reads a task, "Detect cat, dog.", so that phrases that are asked together see each other.
    transformers cuts a task that is too long; here the phrases are asked in as many tasks as it takes. Its own caches
    of texts are not used: they hold a hundred, and nothing guards them from a second thread.
    """

    pictures_together = 8
    nms_iou: float | None = 0.5

    def __init__(self, model: Any, texts: ClipTexts, images: Any, device: torch.device) -> None:
        self.device = device
        self.max_tokens = texts.max_tokens
        self._model = model.to(device).eval()
        self._texts, self._images = texts, images
        self._known: Kept[tuple[str, ...], _Language] = Kept(_TEXT_BYTES)

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device) -> Self:
        """The network in a folder that `engine.checkpoint_files` has checked.

        Raises:
            CheckpointRefused: its parts do not load or do not fit each other.
        """
        model = _model(folder)
        texts = load_clip_texts(folder, model.config.text_config)
        return cls(model, texts, load_images(DetrImageProcessor, folder), device)

    def tokens(self, phrase: str) -> int:
        """How many tokens are read for the task of finding a phrase."""
        return self._texts.tokens(_task([phrase]))

    def fits(self, phrases: Sequence[str]) -> bool:
        """Whether the task of finding them all is read to its end."""
        return self._texts.tokens(_task(phrases)) <= self.max_tokens

    def see(self, images: Sequence[Picture]) -> Any:
        """The encoder's feature maps, a tensor (B, D, h, w) a level."""
        features = self._model.vision_backbone(pixel_values(self._images, images).to(self.device))
        return self._model.encoder(features, return_dict=True).extracted_states

    def answer(self, seen: Any, phrases: Sequence[str]) -> Answer:
        """The boxes of the queries that look most like any of the phrases, with the scores of each."""
        count = len(seen[0])
        classes, task, mask = self._language(tuple(phrases))
        outputs = self._model.decoder(
            seen, classes.expand(-1, count, -1), task.expand(-1, count, -1), mask.expand(count, -1), return_dict=True
        )
        return Answer(outputs.decoder_coords[-1].float(), outputs.decoder_classes[-1].float().sigmoid())

    def _language(self, phrases: tuple[str, ...]) -> _Language:
        """The phrases (P, 1, D), the task's tokens (T, 1, D) and their mask (1, T)."""
        known = self._known.get(phrases)
        if known is None:
            encoder = self._model.language_backbone
            rows = self._texts.encode([*phrases, _task(phrases)], self.device)
            ids, mask = rows["input_ids"], rows["attention_mask"]
            classes = encoder(ids[:-1], encode_type="class")[:, None]
            known = classes, *encoder(ids[-1:], mask=mask[-1:], encode_type="task")
            self._known.put(phrases, known, sum(part.numel() * part.element_size() for part in known))
        return known


def _model(folder: Path) -> Any:
    """The network; where its backbone is timm's, on transformers' own."""
    config = read_json(folder / "config.json")
    if timm_name(config) is None:
        return load_pretrained(OmDetTurboForObjectDetection, folder)
    native = OmDetTurboConfig(**native_config(config))
    weights = native_weights(read_weights(folder))
    model: Any = load_pretrained(OmDetTurboForObjectDetection, folder, config=native, weights=weights)
    shift_as_timm(model.vision_backbone.vision_backbone)
    return model


def _task(phrases: Sequence[str]) -> str:
    """The sentence in which the network was trained to read what is looked for."""
    return f"Detect {', '.join(phrases)}."
