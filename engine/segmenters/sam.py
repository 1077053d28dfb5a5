"""Segment Anything from its original .pth checkpoints, through the segment-anything library."""

import struct
import warnings
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from segment_anything import SamPredictor
from segment_anything.modeling import Sam as SamNetwork
from torch._weights_only_unpickler import UnpicklingError  # type: ignore[attr-defined]  # without importing pickle

from common.boxes import Boxes
from engine.devices import pick_device
from engine.errors import CheckpointRefused, WeightsMissing
from engine.kept import Kept, key_of
from engine.preprocessing import Picture
from engine.pretrained import first_line
from engine.products import fast_products
from engine.segmenters.base import EMBEDDINGS_BYTES, MaskPrompts, Masks, Points, masks_at_once
from engine.segmenters.sam_weights import build_sam

_UNREADABLE = (  # what torch's reader raises on files of other kinds
    *(UnpicklingError, struct.error, RuntimeError, EOFError, OSError),
    *(ValueError, TypeError, LookupError, AttributeError),
)


class Sam:
    """The `Segmenter` over segment-anything: `set_image` runs the image encoder, `predict` only the decoder.

    The embeddings of the pictures looked at last are kept: coming back to one costs nothing.

    Attributes:
        network: the `Sam` of segment-anything.
        name: what people call it.
    """

    def __init__(
        self, network: SamNetwork, *, name: str = "sam", device: str = "auto", keep_bytes: int = EMBEDDINGS_BYTES
    ) -> None:
        self.network = network.to(pick_device(device)).eval()
        self.name = name
        self._predictor = SamPredictor(self.network)
        self._image: Picture | None = None
        self._kept: Kept[bytes, tuple[torch.Tensor, tuple[int, int]]] = Kept(keep_bytes)

    def set_image(self, image: Picture) -> None:
        """Look at a picture, (H, W, 3) uint8 RGB."""
        known = self._kept.get(key_of(image))
        if known is None:
            with fast_products(self.network.device):
                self._predictor.set_image(image)
            features = self._predictor.features
            size = features.numel() * features.element_size()
            self._kept.put(key_of(image), (features, self._predictor.input_size), size)
        else:
            self._predictor.features, self._predictor.input_size = known
            self._predictor.original_size, self._predictor.is_image_set = image.shape[:2], True
        self._image = image

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
        parts = [self._masks(part) for part in prompts.in_parts(masks_at_once(self._image))]
        return np.concatenate(parts) if parts else np.zeros((0, *self._image.shape[:2]), dtype=np.bool_)

    def _masks(self, prompts: MaskPrompts) -> Masks:
        """Masks (n, H, W) of prompts that fit into memory together."""
        size_hw, to_input = self._predictor.original_size, self._predictor.transform
        boxes = points = labels = None
        if prompts.boxes_xyxy is not None:
            boxes = to_input.apply_boxes_torch(torch.from_numpy(prompts.boxes_xyxy), size_hw).to(self.network.device)
        if prompts.points_xy is not None:
            points = to_input.apply_coords_torch(torch.from_numpy(prompts.points_xy), size_hw).to(self.network.device)
            labels = torch.as_tensor(prompts.point_labels, dtype=torch.int, device=self.network.device)
        with fast_products(self.network.device):
            masks, scores, _ = self._predictor.predict_torch(points, labels, boxes, multimask_output=prompts.ambiguous)
        best: Masks = masks[torch.arange(len(masks)), scores.argmax(dim=1)].cpu().numpy()  # (n, H, W)
        return best


def load_sam(path: Path, *, device: str = "auto", name: str | None = None) -> Sam:
    """A SAM from a .pth file, read as tensors only: nothing in it can run.

    Raises:
        WeightsMissing: there is no such file.
        CheckpointRefused: it is broken, holds anything but tensors, or is no SAM.
    """
    if not path.is_file():
        raise WeightsMissing(
            f"No weights at {path}. Give the path of a SAM checkpoint, for example sam_vit_b_01ec64.pth."
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it advises on files of other protocols before it refuses them
            weights = torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise CheckpointRefused(f"{path} holds no plain tensors: {first_line(error)}. Fetch it again.") from error
    if not isinstance(weights, dict) or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise CheckpointRefused(f"{path} holds no table of tensors. Use a SAM checkpoint as its authors published it.")
    return Sam(build_sam(weights), name=name or path.stem, device=device)
