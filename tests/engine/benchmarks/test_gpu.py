"""The GPU's rows, on a processor with tiny sizes: all of it runs, only the clock is another."""

import torch

from engine.benchmarks import gpu, sampling
from engine.benchmarks.subject import subject_of
from engine.checkpoints import STARTER, load_grounding_detector
from engine.network.deformable import grid_samples, kernel_or, weighted_bags
from engine.preprocessing import Preprocessing

SHAPES = ((6, 8), (3, 4))
ROWS = (
    "kernel_seconds kernel_ratio kernel_ratio_grid kernel_gradient_ratio copy_bytes_per_second kernel_bytes_per_second "
    "kernel_over_bytes latency_ratio latency_ratio_bf16 seconds transformers_seconds transformers_bf16_seconds "
    "gain_fuse_through_text gain_weighted_bags gain_kernel gain_true_text_length max_diff bf16_diff"
)


def test_every_row_is_measured() -> None:
    model = load_grounding_detector(STARTER, device="cpu").model
    said: list[str] = []
    found = gpu.measure(subject_of(model, Preprocessing(192, 256), (192, 256), repeats=1), said.append, SHAPES)
    assert set(found) == set(ROWS.split())
    assert all(value > 0 for value in found.values())
    assert found["max_diff"] < 1e-4
    assert len(said) == 3


def test_the_ways_that_are_timed_give_the_same() -> None:
    samples = sampling.samples_of(SHAPES, torch.device("cpu"), torch.float32)
    expected = samples.taken(grid_samples)
    gradients = samples.with_gradients(grid_samples)
    assert expected.shape == (1, 60, 256)
    for sampler in (weighted_bags, kernel_or(weighted_bags)):
        torch.testing.assert_close(samples.taken(sampler), expected, rtol=0, atol=1e-5)
        for one, other in zip(samples.with_gradients(sampler), gradients, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


def test_bytes_are_counted_once_each() -> None:
    samples = sampling.samples_of(SHAPES, torch.device("cpu"), torch.bfloat16)
    cells = 60 * 8 * 32 * 2  # 60 cells, 8 heads of 32 channels, 2 bytes; the result is as large
    places = 60 * 8 * 2 * 4 * 4  # 2 levels of 4 points, float32; twice
    assert samples.least_bytes == 2 * cells + 3 * places
