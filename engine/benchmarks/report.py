"""The document of `bench engine --json`."""

import platform
from collections.abc import Callable
from typing import Any

import torch

from engine.benchmarks import cpu, gpu
from engine.benchmarks.clicks import click_ms, sam_vit_b
from engine.benchmarks.subject import full_size_subject
from engine.errors import WeightsMissing
from engine.segmenters.loading import load_segmenter
from engine.segmenters.sam_transformers import TransformersSam

_GPU_REPEATS = 9  # it is quick

Say = Callable[[str], None]


def run(repeats: int, say: Say) -> dict[str, Any]:
    """Measure the engine on this machine: "cpu.*", "cuda.*" where there is such a GPU, "click_ms" by segmenter.

    Args:
        repeats: of each time, of which the median counts.
        say: told what is done.
    """
    found = cpu.measure(full_size_subject(repeats), say)
    document: dict[str, Any] = {f"cpu.{name}": round(value, 7) for name, value in found.items()}
    if torch.cuda.is_available():
        found = gpu.measure(full_size_subject(max(repeats, _GPU_REPEATS), "cuda"), say)
        document |= {f"cuda.{name}": float(f"{value:.5g}") for name, value in found.items()}
    document["click_ms"] = {"sam-vit-b": round(click_ms(TransformersSam(sam_vit_b(), device="cpu")), 1)}
    try:
        document["click_ms"]["starter"] = round(click_ms(load_segmenter("starter")), 1)
    except WeightsMissing:
        say("The starter's segmenter is not there: its clicks are not measured.")
    return document | {
        "machine": {
            "processor": platform.processor() or platform.machine(),
            "threads": torch.get_num_threads(),
            "torch": str(torch.__version__),
            "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        }
    }
