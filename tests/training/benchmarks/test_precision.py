"""`bench precision` on a few scenes: both precisions are measured, and differ."""

import pytest

from tests.training.worlds.font import needs_font
from training.benchmarks.precision import run


@needs_font
@pytest.mark.slow
def test_both_precisions_are_measured_on_the_same_scenes() -> None:
    said: list[str] = []
    found = run("starter", 0, 12, said.append)
    assert found["fp32"] != found["bf16"]
    assert found["bf16.AP_diff"] == pytest.approx(100 * (found["fp32"]["AP"] - found["bf16"]["AP"]), abs=2e-3)
    assert abs(found["bf16.AP_diff"]) < 3  # of few scenes
    assert (found["images"], found["seed"]) == (12, 0)
    assert len(said) == 2
