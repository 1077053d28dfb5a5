"""Pictures of any size as the batch of pixels a detector reads."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from engine.errors import CheckpointRefused

if TYPE_CHECKING:
    import torch  # seconds that a process which only resizes need not wait for

FILE_NAME = "preprocessor_config.json"
MIN_EDGE_PX = 64  # a thinner strip is padded: a feature map needs a few cells to choose proposals from

_IMAGENET_MEAN = (0.485, 0.456, 0.406)
_IMAGENET_STD = (0.229, 0.224, 0.225)

Picture = NDArray[np.uint8]


@dataclass(frozen=True)
class Resized:
    """A picture that `Preprocessing.ahead` has resized, for example in another process.

    Boxes found on it are in pixels of the original.

    Attributes:
        pixels: (h, w, 3) uint8 RGB.
        original_hw: height and width of the picture it was made from.
    """

    pixels: Picture
    original_hw: tuple[int, int]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of the original."""
        return (*self.original_hw, 3)


AnyPicture = Picture | Resized


def pixels_of(image: AnyPicture) -> Picture:
    """What there is to look at, (h, w, 3)."""
    return image.pixels if isinstance(image, Resized) else image


@dataclass(frozen=True)
class Preprocessing:
    """How a detector wants its pictures: resized with their aspect kept, then normalised.

    Attributes:
        shortest_edge: pixels of the shorter side after resizing.
        longest_edge: pixels that the longer side may not exceed; wins over `shortest_edge`.
        mean: of R, G and B on a scale of 0 to 1.
        std: of R, G and B on a scale of 0 to 1.
        multiple_of: both sides are then rounded to whole multiples of so many pixels, which moves the aspect a little.
            A network takes the cells of a level for equal parts of the picture. Where they reach beyond its edge, all
            are off by a part of that.
    """

    shortest_edge: int = 800
    longest_edge: int = 1333
    mean: tuple[float, float, float] = _IMAGENET_MEAN
    std: tuple[float, float, float] = _IMAGENET_STD
    multiple_of: int = 1

    def __post_init__(self) -> None:
        if not (0 < self.shortest_edge <= self.longest_edge):
            raise CheckpointRefused(
                f"Pictures cannot be resized to a shortest edge of {self.shortest_edge} and a longest of "
                f"{self.longest_edge} pixels. Correct {FILE_NAME}."
            )
        if self.multiple_of < 1:
            raise CheckpointRefused(f"Sides cannot be multiples of {self.multiple_of} pixels. Correct {FILE_NAME}.")
        if len(self.mean) != 3 or len(self.std) != 3 or min(self.std) <= 0:
            raise CheckpointRefused(f"Mean {self.mean} and std {self.std} are not three numbers. Correct {FILE_NAME}.")

    @classmethod
    def from_folder(cls, folder: Path) -> Self:
        """Read a checkpoint's preprocessor_config.json; what it leaves out has Grounding DINO's defaults.

        Raises:
            CheckpointRefused: the file is broken.
        """
        settings = _settings(folder)
        try:
            size = settings.get("size") or {}
            return cls(
                shortest_edge=int(size.get("shortest_edge", cls.shortest_edge)),
                longest_edge=int(size.get("longest_edge", cls.longest_edge)),
                mean=_three(settings.get("image_mean", _IMAGENET_MEAN)),
                std=_three(settings.get("image_std", _IMAGENET_STD)),
                multiple_of=int(settings.get("ensure_multiple_of", cls.multiple_of)),
            )
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise CheckpointRefused(f"{folder / FILE_NAME} cannot be understood: {error}. Correct it.") from error

    def to_json(self) -> dict[str, Any]:
        """The settings in the words of transformers' `GroundingDinoImageProcessor`, which rounds no sides.

        "ensure_multiple_of" is the word of its `DPTImageProcessor`.
        """
        settings = {
            "image_processor_type": "GroundingDinoImageProcessor",
            "processor_class": "GroundingDinoProcessor",
            "do_resize": True,
            "size": {"shortest_edge": self.shortest_edge, "longest_edge": self.longest_edge},
            "resample": int(Image.Resampling.BILINEAR),
            "do_rescale": True,
            "rescale_factor": 1 / 255,
            "do_normalize": True,
            "image_mean": list(self.mean),
            "image_std": list(self.std),
            "do_pad": True,
            "format": "coco_detection",
        }
        return settings if self.multiple_of == 1 else {**settings, "ensure_multiple_of": self.multiple_of}

    def resized_hw(self, height: int, width: int) -> tuple[int, int]:
        """Height and width in pixels after resizing, rounded as transformers rounds them, at least 1.

        Then each is rounded to the nearest multiple that is wanted, at least one and within the longest edge.
        """
        short, long = min(height, width), max(height, width)
        scaled: float = self.shortest_edge
        if long / short * self.shortest_edge > self.longest_edge:
            scaled = self.longest_edge * short / long
        new_short = round(scaled)
        new_long = long if new_short == short else int(scaled * long / short)
        new_short, new_long = self._rounded(new_short), self._rounded(new_long)
        return (new_short, new_long) if height <= width else (new_long, new_short)

    def _rounded(self, side: int) -> int:
        if self.multiple_of == 1:
            return max(side, 1)
        most = self.longest_edge // self.multiple_of
        return max(min(round(side / self.multiple_of), most), 1) * self.multiple_of

    def resize(self, image: AnyPicture) -> Picture:
        """One picture (H, W, 3), resized by Pillow's antialiased bilinear filter: the same bytes everywhere."""
        if isinstance(image, Resized):
            return image.pixels
        height, width = self.resized_hw(*image.shape[:2])
        if (height, width) == image.shape[:2]:
            return image
        return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR))

    def ahead(self, image: Picture) -> Resized:
        """The picture resized now, to be looked at later by a detector of this preprocessing."""
        height, width = image.shape[:2]
        return Resized(self.resize(image), (height, width))

    def resize_batch(
        self, images: Sequence[AnyPicture]
    ) -> tuple["torch.Tensor", "torch.Tensor", list[tuple[int, int]]]:
        """Resize, normalise and pad: `batch` of the pictures resized."""
        return self.batch([self.resize(image) for image in images])

    def batch(self, resized: Sequence[Picture]) -> tuple["torch.Tensor", "torch.Tensor", list[tuple[int, int]]]:
        """Normalise, and pad on the right and bottom to the largest of the batch.

        Args:
            resized: each (h, w, 3) uint8 RGB, by `resize`.

        Returns:
            pixel_values (B, 3, H, W) float32, 0 where padded; pixel_mask (B, H, W) int64, 1 on the picture;
            the (height, width) of each picture without padding.
        """
        import torch

        sizes_hw = [(image.shape[0], image.shape[1]) for image in resized]
        height = max(MIN_EDGE_PX, *(h for h, _ in sizes_hw))
        width = max(MIN_EDGE_PX, *(w for _, w in sizes_hw))
        pixel_values = torch.zeros(len(resized), 3, height, width)
        pixel_mask = torch.zeros(len(resized), height, width, dtype=torch.int64)
        mean = torch.tensor(self.mean)[:, None, None] * 255
        std = torch.tensor(self.std)[:, None, None] * 255
        for index, (image, (h, w)) in enumerate(zip(resized, sizes_hw, strict=True)):
            channels_first = torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1)))  # (3, h, w)
            pixel_values[index, :, :h, :w] = (channels_first.float() - mean) / std
            pixel_mask[index, :h, :w] = 1
        return pixel_values, pixel_mask, sizes_hw


def _settings(folder: Path) -> dict[str, Any]:
    """The image settings of a checkpoint folder: its own file, or a part of processor_config.json."""
    for name, key in ((FILE_NAME, None), ("processor_config.json", "image_processor")):
        path = folder / name
        if path.is_file():
            try:
                found = json.loads(path.read_text(encoding="utf-8"))
                settings = found[key] if key else found
            except (ValueError, KeyError, TypeError) as error:
                raise CheckpointRefused(f"{path} is not readable: {error}. Fetch the checkpoint again.") from error
            if not isinstance(settings, dict):
                raise CheckpointRefused(f"{path} holds no settings. Fetch the checkpoint again.")
            return settings
    return {}


def _three(values: Sequence[float]) -> tuple[float, float, float]:
    """Exactly three numbers."""
    red, green, blue = (float(value) for value in values)
    return red, green, blue
