"""Samples made by hand."""

from collections.abc import Sequence

import numpy as np

from training.preview import ShownBox, ShownSample, ShownToken

RED = "#e6194b"


def sample(
    word: str = "car",
    image_id: int = 1,
    words: Sequence[str] = (),
    xyxy: tuple[float, float, float, float] = (10.0, 10.0, 30.0, 30.0),
) -> ShownSample:
    """A grey image of 40 x 60 px with one box called `word`."""
    tokens = [ShownToken(word, "name", False, (RED,)), *(ShownToken(text, "name", False, ()) for text in words)]
    return ShownSample(
        image_id=image_id,
        step=1,
        image=np.full((40, 60, 3), 128, np.uint8),
        size_hw=(40, 60),
        tokens=tuple(tokens),
        boxes=(ShownBox(xyxy, word, RED, (0,)),),
    )
