"""How much memory a training step of a full-size detector takes, with activations kept and computed anew.

`python -m training.benchmarks.memory --recompute` measures one step in its own process and prints one JSON line: a
process's highest resident memory never falls again, so each measurement needs a fresh one.
"""

import argparse
import json
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch
from transformers import MMGroundingDinoConfig, MMGroundingDinoForObjectDetection

from training.config import TrainConfig
from training.data import Batch
from training.parameters import choose_trainable, set_mode
from training.recompute import recomputing
from training.student import Student
from training.targets import Targets

_PROMPT = (101, 4937, 1012, 3899, 1012, 2158, 1012, 102)  # [CLS] cat. dog. man. [SEP]


def peak_step_bytes(side_px: int, *, recompute: bool) -> dict[str, float]:
    """One step of a Swin-T detector in a process of its own: {"bytes", "seconds"} of its forward and backward pass.

    Bytes are the highest resident memory over that before the step, gradients included; the text encoder is frozen,
    as in mode vocabulary.
    """
    command = [sys.executable, "-m", "training.benchmarks.memory", "--side", str(side_px)]
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [*command, *(["--recompute"] if recompute else [])],
        cwd=root,
        capture_output=True,
        text=True,
        check=True,
    )
    measured: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return measured


def _measure(side_px: int, recompute: bool) -> dict[str, float]:
    config = TrainConfig(mode="vocabulary", backbone_multiplier=0.1, recompute=recompute, denoising=0)
    model: Any = MMGroundingDinoForObjectDetection(MMGroundingDinoConfig())
    choose_trainable(model, config)
    set_mode(model, config)
    student, batch = Student(model, config), _batch(side_px)
    before = _status_bytes("VmRSS")
    started = time.perf_counter()
    with recomputing(model) if recompute else nullcontext():
        terms: dict[str, torch.Tensor] = student(batch, boxes_in_step=None, seed=0)
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
    seconds = time.perf_counter() - started
    return {"bytes": _status_bytes("VmHWM") - before, "seconds": round(seconds, 1)}


def _batch(side_px: int) -> Batch:
    height, width = side_px, side_px * 4 // 3
    ids = torch.tensor([_PROMPT])
    boxes = torch.tensor([[0.3, 0.3, 0.2, 0.2], [0.6, 0.6, 0.3, 0.4]])
    positive_map = torch.zeros(2, len(_PROMPT), dtype=torch.bool)
    positive_map[0, 1] = positive_map[1, 3] = True
    return Batch(
        pixel_values=torch.randn(1, 3, height, width),
        pixel_mask=torch.ones(1, height, width, dtype=torch.int64),
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
        targets=(Targets(boxes, positive_map),),
        image_ids=(0,),
    )


def _status_bytes(field: str) -> int:
    """Memory that the kernel counts for this process; unlike `ru_maxrss`, nothing of the one that started it."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))


if __name__ == "__main__":
    reader = argparse.ArgumentParser()
    reader.add_argument("--side", type=int, default=800)
    reader.add_argument("--recompute", action="store_true")
    arguments = reader.parse_args()
    print(json.dumps(_measure(arguments.side, arguments.recompute)))
