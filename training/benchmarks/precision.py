"""`bench precision`: what half precision costs a detector on labelled scenes, beside full precision."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from engine.checkpoints import load_grounding_detector
from engine.grounding import GroundingDetector
from training.benchmarks import questions
from training.benchmarks.starter import answers, as_shown, federated

Say = Callable[[str], None]


def run(name: str | Path, seed: int, images: int, say: Say) -> dict[str, Any]:
    """AP of one detector in float32 and under bf16 autocast, on the scenes that `bench starter` asks about by name.

    Args:
        name: "starter", a checkpoint folder or a hub id.
        seed: of the scenes.
        images: so many.
        say: told what is done.

    Returns:
        "fp32" and "bf16": AP and AP50, of every box and as shown; "bf16.AP_diff": points of 100 that AP falls by,
        negative where it rises.
    """
    full = load_grounding_detector(name)
    # A precision is asked for by name: on a GPU none would mean half.
    ways = {
        label: GroundingDetector(
            full.model, full.tokenizer, full.preprocessing, device=torch.device(full.device), precision=precision
        )
        for label, precision in (("fp32", torch.float32), ("bf16", torch.bfloat16))
    }
    asked = list(questions.by_name(seed, images))
    document: dict[str, Any] = {}
    for label, detector in ways.items():
        document[label] = _averages(detector, asked)
        say(f"{label}: AP {document[label]['AP']}")
    return document | {
        "bf16.AP_diff": round(100 * (document["fp32"]["AP"] - document["bf16"]["AP"]), 3),
        "images": images,
        "seed": seed,
        "device": full.device,
    }


def _averages(detector: GroundingDetector, asked: list[questions.Question]) -> dict[str, float | None]:
    given = answers(detector, asked)
    every, shown = federated(given).metrics, federated(as_shown(given)).metrics
    found = {"AP": every["AP"], "AP50": every["AP50"], "AP_as_shown": shown["AP"], "AP50_as_shown": shown["AP50"]}
    return {name: None if value is None else round(value, 5) for name, value in found.items()}
