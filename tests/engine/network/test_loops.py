"""The compiled loops of deformable attention, held to `grid_sample`."""

import numpy as np
import pytest
import torch

from engine.network.deformable import grid_samples, kernel_or
from engine.network.loops import loop_samples
from tests.engine.network.kernel_agreement import CASES, Case, results, tensors


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("seed", range(3))
def test_samples_and_all_gradients_are_those_of_grid_sample(case: Case, seed: int, threads: int) -> None:
    *given, gradient = tensors(case, seed, "cpu")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        ours = results(loop_samples, tuple(given), gradient, case.shapes)
    finally:
        torch.set_num_threads(before)
    theirs = results(grid_samples, tuple(given), gradient, case.shapes)
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5 * float(other.detach().abs().max().clamp_min(1)))


def test_cells_in_half_precision_are_summed_in_full_and_so_are_their_gradients() -> None:
    cells, places, weights, gradient = tensors(CASES[0], 9, "cpu")
    half = cells.bfloat16()
    ours = results(loop_samples, (half, places, weights), gradient, CASES[0].shapes)
    exact = results(grid_samples, (half.float(), places, weights), gradient, CASES[0].shapes)
    assert ours[0].dtype == ours[1].dtype == torch.bfloat16
    assert ours[2].dtype == ours[3].dtype == torch.float32
    for one, other in zip(ours, exact, strict=True):
        # bf16 keeps 8 bits of the result, and of the gradient that comes back to it
        torch.testing.assert_close(one.float(), other, rtol=2**-6, atol=2**-7 * float(other.detach().abs().max()))


def test_places_that_are_no_number_or_far_away_take_nothing() -> None:
    shapes = ((2, 3),)
    cells, weights = torch.ones(1, 6, 1, 4), torch.ones(1, 1, 1, 1, 3)
    places = torch.tensor([[np.nan, 0.5], [0.5, np.inf], [-4096.0, 4096.0]]).view(1, 1, 1, 1, 3, 2)
    taken, *gradients = results(loop_samples, (cells, places, weights), torch.ones(1, 1, 4), shapes)
    assert not taken.any()
    assert not any(gradient.any() for gradient in gradients)


def test_no_queries_have_no_samples() -> None:
    cells, places, weights, _ = tensors(CASES[0], 0, "cpu")
    assert loop_samples(cells, places[:, :0], weights[:, :0], CASES[0].shapes).shape == (2, 0, 96)


def test_they_are_taken_on_a_processor_where_a_gradient_is_wanted() -> None:
    def refused(*_: object) -> torch.Tensor:
        raise AssertionError("the other way was taken")

    cells, places, weights, _ = tensors(CASES[0], 0, "cpu")
    with pytest.raises(AssertionError, match="the other way"):
        kernel_or(refused)(cells, places, weights, CASES[0].shapes)
    taken = kernel_or(refused)(cells, places, weights.requires_grad_(), CASES[0].shapes)
    assert taken.requires_grad
    with torch.no_grad(), pytest.raises(AssertionError, match="the other way"):
        kernel_or(refused)(cells, places, weights, CASES[0].shapes)
