"""Activations that are computed anew for the gradient instead of being kept: a third more time, far less memory."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import checkpoint

# Layers of backbone, text encoder, encoder and decoder, by the end of their class's name in transformers. Between two
# of them only their inputs are kept.
_UNITS = ("SwinLayer", "ResNetBasicLayer", "ResNetBottleNeckLayer", "BertLayer", "DinoEncoderLayer", "DinoDecoderLayer")

_watched: ContextVar["SavedActivations | None"] = ContextVar("watched", default=None)


@contextmanager
def recomputing(model: nn.Module) -> Iterator[None]:
    """Within the block a forward pass keeps for its gradient no more than the inputs of each layer.

    transformers' own `gradient_checkpointing_enable` refuses these models, and the switch in their decoder crashes
    (transformers 5.23). Parameters keep their names; layers that learn nothing and come before all that learns keep
    nothing anyway. Chen et al., arXiv:1604.06174.
    """
    with ExitStack() as undo:
        for module in model.modules():
            if type(module).__name__.endswith(_UNITS):
                undo.enter_context(_forward(module, partial(_recomputed, module.forward)))
        yield


class SavedActivations:
    """What autograd keeps of the forward passes within `watch`, parameters apart.

    Attributes:
        bytes: of all distinct storages kept.
    """

    def __init__(self, model: nn.Module) -> None:
        self._storages: dict[int, int] = {}
        self._own = {value.untyped_storage().data_ptr() for value in (*model.parameters(), *model.buffers())}

    @property
    def bytes(self) -> int:
        return sum(self._storages.values())

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Count within the block; what was counted must stay alive until then."""
        token = _watched.set(self)
        try:
            with torch.autograd.graph.saved_tensors_hooks(self.add, lambda kept: kept):
                yield
        finally:
            _watched.reset(token)

    def add(self, tensor: Tensor) -> Tensor:
        """Count a tensor's storage, once."""
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in self._own:
            self._storages[storage.data_ptr()] = storage.nbytes()
        return tensor


@contextmanager
def _forward(module: Any, forward: Callable[..., Any]) -> Iterator[None]:
    module.forward = forward  # of this module alone: hooks stay outside and run once
    try:
        yield
    finally:
        del module.forward


def _recomputed(forward: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    if not torch.is_grad_enabled():
        return forward(*args, **kwargs)
    watched = _watched.get()
    if watched is not None:  # `checkpoint` holds its inputs beside autograd, where no hook sees them
        for value in tree_leaves((args, kwargs)):
            if isinstance(value, Tensor):
                watched.add(value)
    return checkpoint(forward, *args, use_reentrant=False, **kwargs)
