"""The kernel of deformable attention: by Triton's interpreter everywhere, on a GPU where there is one."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from engine.network.deformable import grid_samples, kernel_or

ROOT = Path(__file__).resolve().parents[3]

triton = pytest.importorskip("triton", reason="this build of torch comes without Triton")


def answer_of(*command: str, **environment: str) -> str:
    """The last line that a Python process says."""
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module", params=["cpu", "cuda"])
def found(request: pytest.FixtureRequest) -> dict[str, Any]:
    device = str(request.param)
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no GPU")
    environment = {"TRITON_INTERPRET": "1"} if device == "cpu" else {}
    document: dict[str, Any] = json.loads(
        answer_of("-m", "tests.engine.network.kernel_agreement", device, **environment)
    )
    return document


def test_samples_and_all_gradients_are_those_of_grid_sample(found: dict[str, Any]) -> None:
    assert len(found["differences"]) == 15
    for differences in found["differences"]:
        assert set(differences) == {"samples", "cells", "places", "weights"}
        assert max(differences.values()) < 1e-5


def test_cells_in_half_precision_are_summed_in_full(found: dict[str, Any]) -> None:
    assert found["bfloat16"] < 2**-7  # the rounding of the result alone: 8 bits, which the interpreter cuts off
    assert found["float16"] < 2**-10


def test_torch_can_trace_the_operator_with_its_gradient(found: dict[str, Any]) -> None:
    assert found["checks"] and found["failed_checks"] == []


def test_no_queries_have_no_samples(found: dict[str, Any]) -> None:
    assert found["nothing"] == [2, 0, 96]


def test_it_is_trusted_where_its_example_comes_out_right(found: dict[str, Any]) -> None:
    assert found["agrees"] is True


def test_where_it_cannot_be_built_it_says_so_and_is_left_alone(caplog: pytest.LogCaptureFixture) -> None:
    from engine.network.kernel import agrees

    with caplog.at_level(logging.WARNING):
        assert agrees(torch.device("cpu")) is False  # Triton knows no processor
    assert "can't be built for cpu" in caplog.text


def test_tensors_on_a_processor_take_the_other_way() -> None:
    from tests.engine.network.kernel_agreement import CASES, tensors

    *given, _ = tensors(CASES[0], 0, "cpu")
    cells, places, weights = given
    taken = kernel_or(grid_samples)(cells, places, weights, CASES[0].shapes)
    assert torch.equal(taken, grid_samples(cells, places, weights, CASES[0].shapes))


def test_without_triton_there_is_no_kernel_and_nothing_breaks() -> None:
    code = (
        "import sys; sys.modules['triton'] = None; import torch; from engine.network.deformable import kernel_on;"
        "print(kernel_on(torch.device('cpu')))"
    )
    assert answer_of("-c", code) == "None"


@pytest.mark.slow
@pytest.mark.parametrize("cells", ["bf16", "fp16", "fp32"])
@pytest.mark.parametrize("capability", [80, 90])
def test_it_compiles_for_cards_that_are_not_here_and_reads_16_bytes_at_once(
    capability: int, cells: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from engine.network import kernel

    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    sizes = {"HEADS": 8, "SIZE": 32, "LEVELS": 4, "POINTS": 4, "PAIRS": 32, "CHANNELS": 32}
    kinds = {"cells": cells, "taken": cells, "gradient": cells, "levels": "i32"}
    for function in (kernel._forward, kernel._backward):
        signature = {}
        for name in function.arg_names:
            plain = name in ("pairs", "pairs_of_picture", "rows")
            signature[name] = "constexpr" if name in sizes else "i32" if plain else "*" + kinds.get(name, "fp32")
        aligned = {
            (place,): [["tt.divisibility", 16]] for place, kind in enumerate(signature.values()) if kind.startswith("*")
        }
        source = ASTSource(fn=function, signature=signature, constexprs=sizes, attrs=aligned)
        built = triton.compile(source, target=GPUTarget("cuda", capability, 32), options={"num_warps": 4})
        code = built.asm["ptx"]
        corners = (16 if function is kernel._forward else 4) * (2 if cells == "fp32" else 1)  # 32 channels, 4 threads
        assert code.count("ld.global.v4.b32") >= corners
        assert ".local" not in code  # everything stays in registers
