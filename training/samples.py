"""What one visit of an image teaches, before it is changed at random: its boxes, and how they are called."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.boxes import Boxes

Item = TypeVar("Item", contravariant=True)


@dataclass(frozen=True)
class SampledPrompt:
    """One prompt with the tokens of each label.

    Attributes:
        text: what the detector is asked.
        input_ids: T token ids.
        positive_map: label -> (T,) bool, the tokens that name it; labels the prompt leaves out are missing.
        unknown_tokens: (T,) bool, the tokens of names nobody looked for on the image; None: there are none.
    """

    text: str
    input_ids: tuple[int, ...]
    positive_map: dict[int, Tensor]
    unknown_tokens: Tensor | None = None


@dataclass(frozen=True)
class Sample:
    """An image with its boxes and the way to ask for them.

    Attributes:
        image_id: of the dataset.
        path: of the file.
        size_wh: width and height it was labelled at, in pixels.
        boxes_xyxy: (N, 4) pixels.
        labels: (N,) what each box shows: a category, or a phrase of a caption.
        prompt: called with the labels that are left after the image was changed, whether it was mirrored, and a
            generator to draw from.
        flips: whether the text stays true, or can be made true, for the mirrored image.
        crops: whether it stays true for a part of the image.
    """

    image_id: int
    path: str
    size_wh: tuple[int, int]
    boxes_xyxy: Boxes
    labels: NDArray[np.int64]
    prompt: Callable[[NDArray[np.int64], bool, np.random.Generator], SampledPrompt]
    flips: bool = True
    crops: bool = True


class Text(Protocol[Item]):
    """Draws a sample from an image of a source: `PromptSampler` from labels, `CaptionSampler` from captions."""

    def sample(self, item: Item, rng: np.random.Generator) -> Sample:
        """What this visit of `item` teaches."""
        ...


AnyText = Text[Any]
