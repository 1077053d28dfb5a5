"""A program that `torchrun` starts: a tiny training by several processes, and one that fails in one of them."""

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn

from tests.training.coloured_squares import QUICK, batches_of, squares, tiny_grounding_detector
from training.data import Batch
from training.errors import PeerFailed
from training.metrics.coco import Evaluation
from training.processes import Processes, joined
from training.trainer import train

CONFIG = replace(QUICK, steps=3, batch_size=4, ema_decay=0.0, text_multiplier=0.0)  # BERT would draw dropout
FAILS_AT = 2


def share(batches: Callable[[int], list[Batch]], rank: int, count: int) -> Callable[[int], list[Batch]]:
    """The rows of each batch that one of `count` processes gets; in the second step the first one gets them all."""

    def make(step: int) -> list[Batch]:
        if step == 2 and count > 1:
            return batches(step) if rank == 0 else []
        return [rows(batch, rank, count) for batch in batches(step)]

    return make


def rows(batch: Batch, first: int, every: int) -> Batch:
    """Some rows of a batch, as wide as the whole."""
    taken = slice(first, None, every)
    return replace(
        batch,
        pixel_values=batch.pixel_values[taken],
        pixel_mask=batch.pixel_mask[taken],
        input_ids=batch.input_ids[taken],
        attention_mask=batch.attention_mask[taken],
        targets=batch.targets[taken],
        image_ids=batch.image_ids[taken],
    )


def taught(folder: Path, processes: Processes) -> dict[str, torch.Tensor]:
    """The weights of a tiny detector after three steps; one measurement for all, made by the first process."""
    detector = tiny_grounding_detector()
    detector.model.model.level_embed.data += processes.rank  # unlike weights: the first process's are everybody's
    asked: list[int] = []

    def evaluate() -> Evaluation:
        asked.append(processes.rank)
        return Evaluation({"AP": 0.1 * len(asked), "AP50": 0.1}, {}, 4)

    batches = share(batches_of(detector, squares(folder, 4), CONFIG), processes.rank, processes.count)
    losses = []
    for progress in train(detector, batches, evaluate, CONFIG, resume=folder / "state", processes=processes):
        losses += [progress.loss] if progress.event == "step" else []
    assert bool(asked) == processes.leads
    weights = {name: value.clone() for name, value in detector.model.state_dict().items()}
    return weights | {"losses": torch.tensor(losses)}


def added(processes: Processes) -> dict[str, torch.Tensor]:
    """Gradients of 1 in the first process and 2 in the second, one of them missing in the first, one in both."""
    parameters = [nn.Parameter(torch.zeros(2)) for _ in range(3)]
    for parameter in parameters[processes.leads : 2]:
        parameter.grad = torch.full((2,), 1.0 + processes.rank)
    processes.add_gradients(parameters)
    assert parameters[2].grad is None
    return {f"sum {index}": value.grad for index, value in enumerate(parameters) if value.grad is not None}


def failing(step: int) -> list[Batch]:
    """Batches of a process whose disk broke."""
    if step == FAILS_AT:
        raise OSError("the disk is gone")
    return []


def main(folder: Path) -> int:
    """Every process writes what it has become, and how the second training ended for it."""
    torch.set_num_threads(1)
    with joined() as processes:
        own = folder / str(processes.rank)
        results = taught(own, processes) | added(processes)
        save_file({name: value.contiguous() for name, value in results.items()}, own / "weights")
        detector = tiny_grounding_detector()
        healthy = batches_of(detector, squares(own, 4), CONFIG)
        batches = failing if processes.rank == 1 else healthy
        try:
            for _ in train(
                detector, batches, lambda: Evaluation({"AP": 0, "AP50": 0}, {}, 0), CONFIG, processes=processes
            ):
                pass
        except PeerFailed as error:
            (own / "reason").write_text(str(error))
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
