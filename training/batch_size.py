"""The most images that fit into memory at once, found by trying."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from engine.grounding import GroundingDetector
from training.config import TrainConfig
from training.data import Batch, resized_to, scales
from training.errors import TrainingError
from training.lora import has_adapter, take_off_adapter
from training.parameters import choose_trainable, set_mode
from training.processes import Processes
from training.recompute import SavedActivations, recomputing
from training.student import Student

MOST = 32  # images at once; more in a step teach no faster where there are hundreds
_SHARE = 0.9  # of a GPU's memory that a trial may take: steps differ, and other programs want some
_CPU_SHARE = 0.5  # of the free memory, which a processor shares with everything else
_MEMORY = Path("/proc/meminfo")
_UNKNOWN = 4 << 30  # bytes taken for free where the system does not say
_COPIES = 3  # of what learns: two moments and the average


def with_batch_size(
    config: TrainConfig,
    detector: GroundingDetector,
    batches: Callable[[TrainConfig], Callable[[int], list[Batch]]],
    images: int,
    processes: Processes,
) -> TrainConfig:
    """The settings with a `batch_size` for each of their parts and each process; as they are where it is not 0.

    On a GPU larger and larger batches are tried; on a processor the memory that one image takes is measured.

    Args:
        config: the settings.
        detector: the one to teach; it is left as it came.
        batches: makes what `training.trainer.train` gets, for some settings.
        images: how many there are to learn from; a step holds none twice.
        processes: how many share a step.

    Raises:
        TrainingError: not even one image fits.
    """
    if config.batch_size:
        return config
    at_once = config.accumulate * processes.count
    most = max(1, min(MOST, images // at_once))
    own = detector.preprocessing
    size = resized_to(own, config.short_side_px) if config.short_side_px else own
    largest = max(scale.shortest_edge for scale in scales(size, config.sizes_px))
    trial = replace(config, accumulate=1, sizes_px=(largest,))
    with _trying(detector, config) as student:

        def batch(count: int) -> Batch:
            (only,) = batches(replace(trial, batch_size=count))(1)
            return only.to(detector.device)

        if torch.device(detector.device).type == "cuda":
            found = largest_that_fits(lambda count: _fits_gpu(student, batch(count), config), most)
        else:
            free = _free_bytes(student, processes.count)
            found = min(most, max(1, free // _bytes_of(student, batch(1), config)))
    if not found:
        raise TrainingError(
            f"Not even one image of {largest} px fits into the GPU's memory. Set recompute to true, smaller sizes_px, "
            "a lora_rank, or freeze more parts."
        )
    return replace(config, batch_size=found * at_once)


def largest_that_fits(fits: Callable[[int], bool], most: int) -> int:
    """The largest count up to `most` that fits, in about 2 log2(most) trials; 0: not even one.

    Doubled until one does not fit, then the gap is halved.
    """
    good, bad = 0, most + 1
    while good + 1 < bad:
        count = min(max(1, 2 * good), most) if bad > most else (good + bad) // 2
        if fits(count):
            good = count
        else:
            bad = count
    return good


@contextmanager
def _trying(detector: GroundingDetector, config: TrainConfig) -> Iterator[Student]:
    """A student that learns as in the run to come; afterwards its detector and the random state are as they were."""
    model: nn.Module = detector.model
    learns = {name: value.requires_grad for name, value in model.named_parameters()}
    had_adapter = has_adapter(model)
    with torch.random.fork_rng():
        choose_trainable(model, config)
        set_mode(model, config)
        try:
            yield Student(model, config)
        finally:
            model.eval()
            if not had_adapter:
                take_off_adapter(model)
            for name, value in model.named_parameters():
                value.grad = None
                value.requires_grad_(learns.get(name, value.requires_grad))


def _fits_gpu(student: Student, batch: Batch, config: TrainConfig) -> bool:
    device = batch.pixel_values.device
    total = torch.cuda.get_device_properties(device).total_memory
    torch.cuda.reset_peak_memory_stats(device)
    try:
        learning = [torch.empty_like(value) for value in _learning(student) for _ in range(_COPIES)]
        _learn(student, batch, config)
        del learning
        return torch.cuda.max_memory_reserved(device) < _SHARE * total
    except torch.cuda.OutOfMemoryError:
        return False
    finally:
        student.zero_grad(set_to_none=True)
        torch.cuda.empty_cache()


def _bytes_of(student: Student, batch: Batch, config: TrainConfig) -> int:
    """What one image takes: all that is kept for its gradient, and half as much again while that is computed."""
    saved = SavedActivations(student)
    with saved.watch():
        _learn(student, batch, config, backward=False)
    return saved.bytes * 3 // 2


def _learn(student: Student, batch: Batch, config: TrainConfig, *, backward: bool = True) -> None:
    with recomputing(student.model) if config.recompute else nullcontext():
        terms = student(batch)
    if backward:
        torch.autograd.backward(torch.stack(list(terms.values())).sum())


def _free_bytes(student: Student, processes: int) -> int:
    """What each process may take beside the weights, their gradients and what the optimiser keeps of them."""
    learning = sum(value.numel() * value.element_size() for value in _learning(student))
    return int(_available_bytes() * _CPU_SHARE / processes) - (1 + _COPIES) * learning


def _available_bytes() -> int:
    """What the system can give away: on Linux with its page cache, which it gives up for a program."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))  # kB
    except (OSError, StopIteration):
        pass  # another system than Linux, or an older one
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):  # macOS and Windows have no such number
        return _UNKNOWN


def _learning(student: Student) -> list[nn.Parameter]:
    return [value for value in student.parameters() if value.requires_grad]
