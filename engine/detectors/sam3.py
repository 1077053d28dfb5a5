"""SAM 3's detector of concepts (arXiv:2511.16719) through transformers."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from torchvision.ops import box_convert
from transformers import Sam3ImageProcessor, Sam3Model
from transformers.modeling_outputs import BaseModelOutputWithPooling

from engine.detectors.inputs import ClipTexts, load_clip_texts, load_images, pixel_values
from engine.detectors.phrases import Answer
from engine.kept import Kept
from engine.preprocessing import Picture
from engine.pretrained import load_pretrained

_TEXT_BYTES = 64_000_000


class Sam3:
    """The `PhraseNetwork` over `Sam3Model`, which also draws a mask of each find.

    It is asked for one phrase a pass over the features of a picture that was looked at once. A find's score is its
    own probability times that of the phrase being on the picture at all. Published folders are of the video model;
    its tracker is not loaded.
    """

    pictures_together = 4
    nms_iou: float | None = None

    def __init__(self, model: Any, texts: ClipTexts, images: Any, device: torch.device) -> None:
        self.device = device
        self.max_tokens = texts.max_tokens
        self._model = model.to(device).eval()
        self._texts, self._images = texts, images
        self._known: Kept[str, tuple[torch.Tensor, torch.Tensor]] = Kept(_TEXT_BYTES)

    @classmethod
    def from_folder(cls, folder: Path, device: torch.device) -> Self:
        """The network in a folder that `engine.checkpoint_files` has checked.

        Raises:
            CheckpointRefused: its parts do not load or do not fit each other.
        """
        model: Any = load_pretrained(Sam3Model, folder)
        side = int(model.config.vision_config.image_size)
        texts = load_clip_texts(folder, model.config.text_config)
        return cls(model, texts, load_images(Sam3ImageProcessor, folder, side), device)

    def tokens(self, phrase: str) -> int:
        """How many tokens are read for a phrase."""
        return self._texts.tokens(phrase)

    def fits(self, phrases: Sequence[str]) -> bool:
        """One at a time."""
        return len(phrases) == 1

    def see(self, images: Sequence[Picture]) -> Any:
        """The vision encoder's feature maps."""
        seen = self._model.get_vision_features(pixel_values(self._images, images).to(self.device))
        seen.last_hidden_state = None  # the detector reads the pyramid alone
        return seen

    def answer(self, seen: Any, phrases: Sequence[str]) -> Answer:
        """What the one phrase means on each picture."""
        count = len(seen.fpn_hidden_states[0])
        features, mask = self._language(*phrases)
        texts = BaseModelOutputWithPooling(pooler_output=features.expand(count, -1, -1))
        outputs = self._model(vision_embeds=seen, text_embeds=texts, attention_mask=mask.expand(count, -1))
        scores = outputs.pred_logits.float().sigmoid() * outputs.presence_logits.float().sigmoid()  # (B, Q)
        boxes = box_convert(outputs.pred_boxes.float(), "xyxy", "cxcywh")
        return Answer(boxes, scores[..., None], outputs.pred_masks.float().sigmoid())

    def _language(self, phrase: str) -> tuple[torch.Tensor, torch.Tensor]:
        """The features of the phrase's tokens (1, T, D) and their mask (1, T)."""
        known = self._known.get(phrase)
        if known is None:
            rows = self._texts.encode([phrase], self.device)
            known = self._model.get_text_features(**rows).pooler_output, rows["attention_mask"]
            self._known.put(phrase, known, sum(part.numel() * part.element_size() for part in known))
        return known
