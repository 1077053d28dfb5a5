"""Several processes that teach one detector together, each with its share of every step's images."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn

from training.errors import PeerFailed

T = TypeVar("T")

_PATIENCE = timedelta(days=1)  # the others wait as long as the first one validates
_BUCKET = 32 * 1024 * 1024  # numbers sent at once
_LOST = "Another process of this training ended without a word (killed, or out of memory). Resume the run."


@dataclass(frozen=True)
class _Envelope:
    """What a process says at a meeting: a value, why it fails, or that it is done."""

    kind: Literal["value", "failure", "farewell"]
    content: Any = None


class Processes:
    """This process among those that teach together; by default it is the only one.

    The processes meet in `exchange`, all the same number of times. One that fails says so at its next meeting, so the
    others end there with its reason and never wait in vain.

    Attributes:
        rank: of this process, from 0.
        count: of all processes.
        local_rank: of this process on its machine.
    """

    def __init__(self, rank: int = 0, count: int = 1, local_rank: int = 0, group: Any = None) -> None:
        self.rank, self.count, self.local_rank = rank, count, local_rank
        self._group = group

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files, validates and prints."""
        return self.rank == 0

    def device(self, wanted: str) -> str:
        """The device of this process where the run's is `wanted`: each has a GPU of its own."""
        return f"cuda:{self.local_rank}" if self.count > 1 and wanted.startswith("cuda") else wanted

    def exchange(self, value: T) -> list[T]:
        """Every process's value, in order of their ranks.

        Raises:
            PeerFailed: another process failed; the text is its reason.
        """
        if self.count == 1:
            return [value]
        met = self._meet(_Envelope("value", value))
        failures = [envelope.content for envelope in met if envelope.kind == "failure"]
        if failures:
            raise PeerFailed(failures[0])
        if any(envelope.kind == "farewell" for envelope in met):
            raise PeerFailed("Another process of this training ended early. Resume the run.")
        return [envelope.content for envelope in met]

    def equalize(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of the first process."""
        if self.count == 1:
            return
        self.exchange(None)
        for tensor in tensors:
            self._together(dist.broadcast, tensor.detach(), src=0)

    def add_gradients(self, parameters: Iterable[nn.Parameter]) -> None:
        """Replace each gradient by its sum over the processes; one that is missing counts as 0, unless all miss it."""
        if self.count == 1:
            return
        listed = list(parameters)
        own = frozenset(index for index, parameter in enumerate(listed) if parameter.grad is None)
        nobody = frozenset.intersection(*self.exchange(own))
        gradients = [_gradient(parameter) for index, parameter in enumerate(listed) if index not in nobody]
        for bucket in _buckets(gradients):
            flat = torch.cat([gradient.flatten() for gradient in bucket])
            self._together(dist.all_reduce, flat)
            parts = torch.split(flat, [gradient.numel() for gradient in bucket])
            for gradient, total in zip(bucket, parts, strict=True):
                gradient.copy_(total.view_as(gradient))

    def fail(self, error: BaseException) -> None:
        """Tell the others why this process ends, at the meeting they are waiting in."""
        self._last(_Envelope("failure", _reason(error)))

    def part(self) -> None:
        """Wait until every process is done, the failed ones too."""
        while self._last(_Envelope("farewell")):
            pass

    def _last(self, envelope: _Envelope) -> bool:
        """Whether somebody still has something to say after this meeting."""
        try:
            return any(other.kind != "farewell" for other in self._meet(envelope))
        except PeerFailed:
            return False  # nobody is left to listen

    def _together(self, operation: Callable[..., Any], tensor: Tensor, **options: Any) -> None:
        """What is on a CPU goes by gloo, though there be GPUs, too."""
        try:
            operation(tensor, group=self._group if tensor.device.type == "cpu" else None, **options)
        except RuntimeError as error:
            raise PeerFailed(_LOST) from error

    def _meet(self, envelope: _Envelope) -> list[_Envelope]:
        met: list[Any] = [None] * self.count
        try:
            dist.all_gather_object(met, envelope, group=self._group)
        except RuntimeError as error:  # what torch raises for a connection that broke
            raise PeerFailed(_LOST) from error
        return met


@contextmanager
def joined() -> Iterator[Processes]:
    """Within the block this process works together with those that `torchrun` started beside it, if any.

    What ends the block of one process with an error ends those of the others. CPUs talk by gloo, GPUs by nccl.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    from accelerate import PartialState  # a second to import, and needed by several processes only

    state = PartialState(cpu=not torch.cuda.is_available())
    talk = dist.new_group(backend="gloo", timeout=_PATIENCE)  # apart from gradients: it waits on the CPU, for hours
    processes = Processes(state.process_index, state.num_processes, state.local_process_index, talk)
    try:
        yield processes
    except PeerFailed:
        raise
    except BaseException as error:
        processes.fail(error)
        raise
    finally:
        processes.part()
        state.destroy_process_group()


def _reason(error: BaseException) -> str:
    text = " ".join(str(error).split()) or "interrupted"
    ours = type(error).__module__.split(".")[0] in ("annotations", "app", "common", "engine", "training")
    return text if ours else f"{type(error).__name__}: {text}"


def _gradient(parameter: nn.Parameter) -> Tensor:
    if parameter.grad is None:
        parameter.grad = torch.zeros_like(parameter)
    return parameter.grad


def _buckets(tensors: Iterable[Tensor]) -> Iterator[list[Tensor]]:
    """The tensors in groups of one dtype, none much larger than `_BUCKET` numbers: few messages, little copied."""
    waiting: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        bucket = waiting.setdefault(tensor.dtype, [])
        bucket.append(tensor)
        if sum(other.numel() for other in bucket) >= _BUCKET:
            yield waiting.pop(tensor.dtype)
    yield from waiting.values()
