"""A finished starter's scores, moved so that the threshold which people start with is the best one."""

from collections.abc import Sequence
from math import log
from typing import Any

import torch

from engine.detector import Detector
from training.benchmarks import questions
from training.benchmarks.starter import Answer, answers, as_shown, f1

_SEED = 4_000_000_000  # of scenes that no measurement shows
_NAMED, _IN_VAIN = 240, 80  # pictures with prompts of which something is there, and of which nothing is
_THRESHOLDS = tuple(step / 100 for step in range(20, 91, 2))


def best_threshold(detector: Detector) -> float:
    """Where F1 is highest, over scenes that show some of what is asked for and scenes that show none of it."""
    lowest = min(_THRESHOLDS)
    asked = [*questions.by_name(_SEED, _NAMED), *questions.in_vain(_SEED, _IN_VAIN)]
    return _best(as_shown(answers(detector, asked, threshold=lowest)))


@torch.no_grad()
def move_scores(model: Any, source: float, target: float) -> None:
    """Shift the last layer's logits, in place, so that what scored `source` scores `target`; no order changes."""
    model.class_embed[-1].bias += _logit(target) - _logit(source)


def _best(given: Sequence[Answer]) -> float:
    return max(_THRESHOLDS, key=lambda threshold: f1(given, threshold))


def _logit(probability: float) -> float:
    return log(probability / (1 - probability))
