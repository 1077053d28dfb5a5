"""How long a second click on a picture takes, when the segmenter has looked at it."""

from typing import Any

import numpy as np
import torch
from transformers import SamConfig, SamModel

from engine.benchmarks.beside import in_turns
from engine.preprocessing import Picture
from engine.pretrained import quiet_transformers
from engine.segmenters.base import Segmenter

_HW = (800, 1066)


def sam_vit_b(seed: int = 0) -> Any:
    """SAM with ViT-B, 94 million random parameters."""
    with torch.random.fork_rng(devices=[]), quiet_transformers():
        torch.manual_seed(seed)
        return SamModel(SamConfig()).eval()


def click_ms(segmenter: Segmenter, repeats: int = 7) -> float:
    """Median milliseconds of a click, on a picture of 800 x 1066 px that was clicked on before."""
    rng = np.random.default_rng(0)
    image: Picture = rng.integers(0, 256, (*_HW, 3), dtype=np.uint8)
    segmenter.set_image(image)

    def click() -> object:
        point = rng.uniform(0, min(_HW), (1, 1, 2)).astype(np.float32)
        return segmenter.predict(points_xy=point, point_labels=np.ones((1, 1), np.int64))

    click()
    return 1000 * in_turns([click], repeats)[0]
