import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from annotations import runs
from tests.training import in_processes
from tests.training.workspaces import QUICK_SETTINGS, Bench, add_squares, make_bench
from training.processes import Processes, joined
from training.schedule import learning_rate

ROOT = Path(__file__).resolve().parents[2]


def torchrun(*command: str, processes: int = 2) -> subprocess.CompletedProcess[str]:
    """Start `command` in several processes of one thread each, as people do."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={processes}"]
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GROUNDWORK_NO_VENV": "1", "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*launcher, *command], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=600, check=False
    )


def test_two_processes_end_with_the_weights_of_one_and_fail_together(tmp_path: Path) -> None:
    ended = torchrun("-m", "tests.training.in_processes", str(tmp_path))
    assert ended.returncode == 1, ended.stderr  # of the process whose disk is gone
    alone = in_processes.taught(tmp_path / "alone", Processes())
    first, second = (load_file(tmp_path / rank / "weights") for rank in "01")
    torch.testing.assert_close(second, first, rtol=0, atol=0)
    torch.testing.assert_close(first["losses"], alone["losses"], rtol=1e-4, atol=0)
    # Before a norm a bias has a gradient of rounding alone, which Adam makes a step of up to the learning rate of.
    config = in_processes.CONFIG
    furthest = 2 * sum(learning_rate(step, config) for step in range(1, config.steps + 1))
    torch.testing.assert_close({name: first[name] for name in alone}, alone, rtol=1e-3, atol=furthest)
    apart = torch.cat([(first[name].double() - value).abs().flatten() for name, value in alone.items()])
    assert (apart < 1e-4).double().mean() > 0.99  # where learnt, they moved by about 2e-3
    assert (first["sum 0"].tolist(), first["sum 1"].tolist()) == ([2, 2], [3, 3])
    assert (tmp_path / "0" / "reason").read_text() == "OSError: the disk is gone"
    assert (tmp_path / "0" / "state").exists()
    assert not (tmp_path / "1" / "state").exists()  # the first process alone writes files


def test_one_process_talks_to_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert (processes.rank, processes.count, processes.leads) == (0, 1, True)
        assert processes.exchange("a") == ["a"]
        assert processes.device("cuda") == "cuda"


def test_every_process_has_a_gpu_of_its_own() -> None:
    second = Processes(rank=1, count=2, local_rank=1)
    assert second.device("cuda") == "cuda:1"
    assert second.device("cpu") == "cpu"
    assert not second.leads


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    made = make_bench(tmp_path / "workspace")
    yield made
    made.store.close()


def test_the_command_works_under_torchrun_and_the_first_process_speaks(bench: Bench) -> None:
    add_squares(bench, train=3, val=1)
    settings = [f"--set={text}" for text in (*QUICK_SETTINGS, "batch_size=3")]
    command = ["launch.py", "train", f"--workspace={bench.root}", "--dataset=squares", f"--detector={bench.detector}"]
    ended = torchrun(*command, "--steps=2", "--mode=closed", "--json", *settings)
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert (document["state"], document["steps"]) == ("done", 2)
    assert (bench.root / "checkpoints" / "squares-1" / "model.safetensors").exists()
    told = [json.loads(line) for line in ended.stderr.splitlines() if line.startswith("{")]
    assert [line["step"] for line in told if "loss" in line] == [1, 2]
    with bench.store.reading() as session:
        assert len(runs.runs(session)) == 1
