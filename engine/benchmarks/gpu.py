"""The engine beside transformers on a GPU: latency in full and half precision, equality, and the kernel alone."""

from collections.abc import Callable

import torch

from engine.benchmarks import sampling
from engine.benchmarks.beside import in_turns
from engine.benchmarks.subject import (
    THRESHOLD,
    Subject,
    answer,
    by_transformers,
    difference,
    gains,
    passes,
    prompts,
    theirs,
)
from engine.network.deformable import Shapes
from engine.network.switches import Switches
from engine.ontology import Ontology

_CATEGORIES = ("cat", "remote control", "red car")
_SWITCHES = ("fuse_through_text", "weighted_bags", "kernel", "true_text_length")
_KERNEL_REPEATS = 9

Say = Callable[[str], None]


def measure(subject: Subject, say: Say, shapes: Shapes = sampling.FULL_SHAPES) -> dict[str, float]:
    """The rows of `bench engine` that begin with "cuda.", without that.

    Every time is taken until the boxes lie on the CPU, so that nothing is left under way; `max_diff` compares both in
    float32, `bf16_diff` the engine in bf16 with transformers in float32 (random weights: the best queries are nearly
    ties, so that other ones may be chosen; `bench precision` tells what that means for AP).
    """
    found = _differences(subject)
    say(f"outputs compared: largest difference {found['max_diff']:.1e}")
    found |= _latency(subject)
    say(f"latency: {1000 * found['seconds']:.1f} ms an image")
    found |= gains(subject, _SWITCHES, _CATEGORIES, torch.bfloat16)
    found |= sampling.measure(subject.device, _KERNEL_REPEATS, shapes)
    say(f"the kernel: {found['kernel_over_bytes']:.1f} times as long as its bytes take")
    return found


def _latency(subject: Subject) -> dict[str, float]:
    ontology = Ontology.from_names(_CATEGORIES)
    full, half = theirs(subject, _CATEGORIES), theirs(subject, _CATEGORIES, torch.bfloat16)

    def ours() -> object:
        return subject.detector.detect([subject.image], ontology, threshold=THRESHOLD)

    ways = [full, half, ours]
    for way in ways:
        way()
    in_full, in_half, engine = in_turns(ways, subject.repeats)
    return {
        "latency_ratio": in_full / engine,
        "latency_ratio_bf16": in_half / engine,
        "seconds": engine,
        "transformers_seconds": in_full,
        "transformers_bf16_seconds": in_half,
    }


def _differences(subject: Subject) -> dict[str, float]:
    (prompt,) = prompts(subject, _CATEGORIES)
    exact, references = by_transformers(subject, prompt)
    full, half = (passes(subject, Switches(), precision=precision) for precision in (None, torch.bfloat16))
    return {
        "max_diff": difference(exact, answer(full, subject, [prompt], references)),
        "bf16_diff": difference(exact, answer(half, subject, [prompt], references)),
    }
