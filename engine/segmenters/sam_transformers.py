"""SAM and SAM 2 through transformers, from a checkpoint folder or a hub id."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import PreTrainedModel, Sam2Model, SamModel

from common.boxes import Boxes
from engine.checkpoint_files import check_folder
from engine.devices import pick_device
from engine.hub import find_folder
from engine.kept import Kept, key_of
from engine.preprocessing import Picture
from engine.pretrained import load_pretrained
from engine.products import fast_products
from engine.segmenters.base import EMBEDDINGS_BYTES, MaskPrompts, Masks, Points, masks_at_once

MODELS = {"sam": SamModel, "sam2": Sam2Model, "sam2_video": Sam2Model}  # published SAM 2 are video models

_MEAN = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
_STD = torch.tensor([0.229, 0.224, 0.225])[:, None, None]


class TransformersSam:
    """The `Segmenter` over `SamModel` and `Sam2Model`: `set_image` runs the image encoder, `predict` only the decoder.

    SAM scales a picture to its input's longest side and pads it; SAM 2 stretches it to a square. The embeddings of the
    pictures looked at last are kept: coming back to one costs nothing.

    Attributes:
        model: the network.
        name: what people call it.
        side: pixels of its square input.
    """

    def __init__(
        self, model: PreTrainedModel, *, name: str = "sam", device: str = "auto", keep_bytes: int = EMBEDDINGS_BYTES
    ) -> None:
        self._device = pick_device(device)
        self.model = model.to(self._device).eval()
        self.name = name
        self.side = int(model.config.prompt_encoder_config.image_size)
        self._keeps_aspect = isinstance(model, SamModel)
        self._image: Picture | None = None
        self._input_hw = (0, 0)
        self._embeddings: Any = None
        self._kept: Kept[bytes, Any] = Kept(keep_bytes)

    @torch.no_grad()
    def set_image(self, image: Picture) -> None:
        """Look at a picture, (H, W, 3) uint8 RGB."""
        height, width = image.shape[:2]
        self._input_hw = (self.side, self.side)
        if self._keeps_aspect:
            scale = self.side / max(height, width)
            self._input_hw = (max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5)))
        self._embeddings = self._kept.get(key_of(image))
        if self._embeddings is None:
            self._embeddings = self._looked_at(image)
            self._kept.put(key_of(image), self._embeddings, _bytes_of(self._embeddings))
        self._image = image

    def _looked_at(self, image: Picture) -> Any:
        """The embeddings of a picture: a tensor, or SAM 2's one a scale."""
        resized = Image.fromarray(image).resize(self._input_hw[::-1], Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.array(resized)).permute(2, 0, 1) / 255  # (3, h, w)
        values = torch.zeros(1, 3, self.side, self.side)
        values[0, :, : self._input_hw[0], : self._input_hw[1]] = (pixels - _MEAN) / _STD
        with fast_products(self._device):
            return self.model.get_image_embeddings(values.to(self._device))

    def predict(
        self,
        *,
        boxes_xyxy: Boxes | None = None,
        points_xy: Points | None = None,
        point_labels: NDArray[np.integer] | None = None,
    ) -> Masks:
        """A mask for each prompt; see `Segmenter.predict`. Of a single point's three masks, the one scored best."""
        prompts = MaskPrompts.checked(self._image, boxes_xyxy, points_xy, point_labels)
        assert self._image is not None
        parts = [self._logits(part, self._image) > 0 for part in prompts.in_parts(masks_at_once(self._image))]
        masks: list[Masks] = [part.cpu().numpy() for part in parts]
        return np.concatenate(masks) if masks else np.zeros((0, *self._image.shape[:2]), dtype=np.bool_)

    def log_odds(
        self,
        *,
        boxes_xyxy: Boxes | None = None,
        points_xy: Points | None = None,
        point_labels: NDArray[np.integer] | None = None,
    ) -> NDArray[np.float32]:
        """(N, H, W), how sure each pixel belongs to what each prompt means, above 0 on its mask; as `predict`."""
        prompts = MaskPrompts.checked(self._image, boxes_xyxy, points_xy, point_labels)
        assert self._image is not None
        logits: NDArray[np.float32] = self._logits(prompts, self._image).cpu().numpy()
        return logits

    @torch.no_grad()
    def _logits(self, prompts: MaskPrompts, image: Picture) -> torch.Tensor:
        """Logits (n, H, W) of prompts that fit into memory together."""
        scale_xy = np.array([self._input_hw[1] / image.shape[1], self._input_hw[0] / image.shape[0]], np.float32)
        asked: dict[str, torch.Tensor] = {}
        if prompts.boxes_xyxy is not None:
            asked["input_boxes"] = self._tensor(prompts.boxes_xyxy * np.tile(scale_xy, 2))  # (1, n, 4)
        if prompts.points_xy is not None and prompts.point_labels is not None:
            asked["input_points"] = self._tensor(prompts.points_xy * scale_xy)  # (1, n, P, 2)
            asked["input_labels"] = self._tensor(prompts.point_labels)  # (1, n, P)
        with fast_products(self._device):
            outputs = self.model(image_embeddings=self._embeddings, multimask_output=prompts.ambiguous, **asked)
        logits, scores = outputs.pred_masks[0].float(), outputs.iou_scores[0]  # (n, M, h, w), (n, M)
        best = logits[torch.arange(len(logits)), scores.argmax(dim=1)][:, None]  # (n, 1, h, w)
        if self._keeps_aspect:
            square = _upsampled(best, (self.side, self.side))
            best = square[..., : self._input_hw[0], : self._input_hw[1]]
        return _upsampled(best, image.shape[:2])[:, 0]

    def _tensor(self, values: NDArray[Any]) -> torch.Tensor:
        """Prompts with the batch dimension that the model wants, on its device."""
        return torch.as_tensor(values[None], device=self._device)


def load_transformers_sam(
    source: str | Path, *, device: str = "auto", name: str | None = None, allow_download: bool = False
) -> TransformersSam:
    """A SAM or SAM 2 from a folder or a hub id such as "facebook/sam2.1-hiera-tiny".

    Raises:
        WeightsMissing: it is not on this machine.
        CheckpointRefused: it is broken, of another kind, or could run code.
    """
    folder = find_folder(source, allow_download=allow_download)
    config = check_folder(folder, tuple(MODELS))
    model = load_pretrained(MODELS[config["model_type"]], folder)
    return TransformersSam(model, name=name or Path(source).name or folder.resolve().name, device=device)


def _bytes_of(embeddings: Any) -> int:
    tensors = [embeddings] if isinstance(embeddings, torch.Tensor) else embeddings
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def _upsampled(logits: torch.Tensor, size_hw: tuple[int, ...]) -> torch.Tensor:
    """Mask logits (n, 1, h, w) at another size."""
    return torch.nn.functional.interpolate(logits, size=size_hw[:2], mode="bilinear", align_corners=False)
