"""A finished starter's scores, moved so that the threshold which people start with is the best of the quiet ones."""

from collections.abc import Sequence
from math import log
from typing import Any

import torch

from engine.detector import Detector
from training.benchmarks import questions
from training.benchmarks.starter import Answer, answers, as_shown, counted, f1

_SEED = 4_000_000_000  # of scenes that no measurement shows
_NAMED, _IN_VAIN = 240, 480  # pictures with prompts of which something is there, and of which nothing is
_COUNTED_IN_VAIN = 80  # of the latter, in F1: a quarter of all pictures, as in training
_WRONG_AT_MOST = 0.05  # boxes a picture that shows nothing asked for: 0.1 is the aim, 300 scenes vary by 0.02
_THRESHOLDS = tuple(step / 100 for step in range(20, 91))


def best_threshold(detector: Detector) -> float:
    """Where F1 is highest while pictures that show nothing of what is asked for stay all but empty.

    F1 alone is highest where these have several times as many. Who asks for what is not there should see nothing.
    """
    lowest = min(_THRESHOLDS)
    named, vain = (
        as_shown(answers(detector, asked, threshold=lowest))
        for asked in (questions.by_name(_SEED, _NAMED), questions.in_vain(_SEED, _IN_VAIN))
    )
    return _best(named, vain)


@torch.no_grad()
def move_scores(model: Any, source: float, target: float) -> None:
    """Shift the last layer's logits, in place, so that a token of `source` scores `target`.

    So do names of one token; one of several, whose score is the mean of theirs, only where they score alike.
    """
    model.class_embed[-1].bias += _logit(target) - _logit(source)


def _best(named: Sequence[Answer], vain: Sequence[Answer]) -> float:
    """The threshold of the highest F1 among the quiet ones; where none is quiet, the highest threshold."""
    given = [*named, *vain[:_COUNTED_IN_VAIN]]
    quiet = [threshold for threshold in _THRESHOLDS if _wrong(vain, threshold) <= _WRONG_AT_MOST]
    return max(quiet or _THRESHOLDS[-1:], key=lambda threshold: f1(given, threshold))


def _wrong(vain: Sequence[Answer], threshold: float) -> float:
    """Boxes from `threshold` on in a picture, all of them wrong."""
    return counted(vain, threshold)[1] / max(len(vain), 1)


def _logit(probability: float) -> float:
    return log(probability / (1 - probability))
