"""The texts of captioned images, asked of a detector that answers from a list."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from annotations.captions import CaptionedImage, CaptionText, Phrase, expression
from tests.training.metrics.test_captions import A, B, Oracle, boxes
from training.measuring import evaluate_texts


def captioned(folder: Path, *texts: CaptionText, name: str = "a.png") -> CaptionedImage:
    Image.fromarray(np.zeros((20, 60, 3), np.uint8)).save(folder / name)
    return CaptionedImage(1, str(folder / name), name, 60, 20, "val", texts)


def test_a_phrase_in_pieces_is_asked_as_one_as_in_the_command(tmp_path: Path) -> None:
    man, hat = Phrase(((0, 5), (11, 21)), boxes(A)), Phrase(((18, 21),), boxes(B))
    oracle = Oracle({"a man sits with a hat": [(A, 0.9, 0), (A, 0.8, 1), (B, 0.7, 1)]})
    image = captioned(tmp_path, CaptionText(1, "a man sits with a hat", "caption", (man, hat)))
    found = evaluate_texts(oracle, [image])
    # of two phrases "a man with a hat" is right at once, "hat" in the second place
    assert found.metrics == {"AP": None, "AP50": None, "R@1": 0.5, "R@5": 1, "R@10": 1}
    assert oracle.asked[0].owners == (0, 0, 1)


def test_only_expressions_that_mean_one_thing_have_a_precision(tmp_path: Path) -> None:
    oracle = Oracle({"left": [(A, 0.9, 0)], "right": [(A, 0.9, 0)]})  # "both" and "no cow" are not asked for
    texts = [expression("left", boxes(A)), expression("right", boxes(B)), expression("both", boxes(A, B))]
    found = evaluate_texts(oracle, [captioned(tmp_path, *texts, expression("no cow", boxes()))])
    assert found.metrics == {"AP": None, "AP50": None, "P@1": 0.5}


@pytest.mark.parametrize("unread", ["text", "picture"])
def test_what_cant_be_read_is_left_out(tmp_path: Path, unread: str) -> None:
    oracle = Oracle({"left": [(A, 0.9, 0)]})
    text = expression("left" if unread == "picture" else "an endless expression", boxes(A))
    images = [captioned(tmp_path, expression("left", boxes(A))), captioned(tmp_path, text, name="b.png")]
    if unread == "picture":
        (tmp_path / "b.png").write_bytes(b"no picture")
    told: list[str] = []
    assert evaluate_texts(oracle, images, on_skip=told.append).metrics["P@1"] == 1
    assert len(told) == 1
