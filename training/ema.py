"""The moving average of a model's weights, which is steadier than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Exponential moving average of some parameters.

    Attributes:
        values: the average of each parameter, by its name.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter], decay: float) -> None:
        self._parameters = parameters
        self._decay = decay
        self.values: dict[str, Tensor] = {name: value.detach().clone() for name, value in parameters.items()}

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Move the average towards the present weights; in the first steps faster, as it still holds the start."""
        decay = min(self._decay, (1 + step) / (10 + step))
        for name, value in self._parameters.items():
            self.values[name].lerp_(value.detach(), 1 - decay)

    def adopt(self, values: Mapping[str, Tensor]) -> None:
        """Overwrite the parameters themselves, by averages of an earlier step for example."""
        copy_into(self._parameters, values)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block the model computes with the average."""
        own = {name: value.data for name, value in self._parameters.items()}
        for name, value in self._parameters.items():
            value.data = self.values[name]
        try:
            yield
        finally:
            for name, value in self._parameters.items():
                value.data = own[name]


@torch.no_grad()
def copy_into(parameters: Mapping[str, nn.Parameter], values: Mapping[str, Tensor]) -> None:
    """Overwrite parameters in place by values of the same names."""
    for name, value in parameters.items():
        value.copy_(values[name])
