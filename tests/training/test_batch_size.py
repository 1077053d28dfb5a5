from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.coloured_squares import QUICK, batches_of, squares, tiny_grounding_detector
from tests.training.workspaces import QUICK_SETTINGS, add_squares, make_bench
from training.batch_size import MOST, largest_that_fits, with_batch_size
from training.config import TrainConfig
from training.job import run_training
from training.processes import Processes
from training.run_folder import RunFolder


@pytest.mark.parametrize("limit", [0, 1, 2, 3, 7, 8, 31, 32, 100])
def test_the_largest_count_is_found_in_few_trials(limit: int) -> None:
    tried: list[int] = []

    def fits(count: int) -> bool:
        tried.append(count)
        return count <= limit

    assert largest_that_fits(fits, 32) == min(limit, 32)
    assert max(tried) <= 32
    assert len(tried) <= 10


@pytest.fixture(autouse=True)
def available(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Says how many bytes this machine has to give away; plenty before it is asked."""
    path = tmp_path / "meminfo"
    monkeypatch.setattr("training.batch_size._MEMORY", path)

    def say(count: int) -> None:
        path.write_text(f"MemTotal: 99 kB\nMemFree: 1 kB\nMemAvailable: {count // 1024} kB\n")

    say(64 << 30)
    return say


def found(folder: Path, config: TrainConfig, count: int = 6, processes: Processes | None = None) -> TrainConfig:
    images, detector = squares(folder, count), tiny_grounding_detector()
    make = lambda settings: batches_of(detector, images, settings)  # noqa: E731
    return with_batch_size(config, detector, make, count, processes or Processes())


def test_a_size_that_is_set_stays(tmp_path: Path) -> None:
    assert found(tmp_path, QUICK) is QUICK


def test_a_step_holds_no_image_twice(tmp_path: Path) -> None:
    assert found(tmp_path, replace(QUICK, batch_size=0)).batch_size == 6


def test_every_part_and_process_gets_as_many(tmp_path: Path) -> None:
    config = replace(QUICK, batch_size=0, accumulate=2)
    assert found(tmp_path, config, 13, Processes(0, 2)).batch_size == 12  # 3 in each of 2 parts of 2 processes


def test_large_images_leave_room_for_fewer(tmp_path: Path, available: Callable[[int], None]) -> None:
    config = replace(QUICK, batch_size=0, sizes_px=(96, 256))
    available(164_000_000)
    fewer = found(tmp_path, config, MOST).batch_size
    assert 1 <= fewer < MOST
    assert fewer < found(tmp_path, replace(config, recompute=True), MOST).batch_size


@pytest.mark.parametrize("content", [None, "MemTotal: 99 kB\nMemFree: 1 kB\n"])
def test_where_the_system_does_not_say_what_is_available_its_free_pages_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    memory = tmp_path / "meminfo"
    memory.unlink() if content is None else memory.write_text(content)
    monkeypatch.setattr("os.sysconf", lambda name: {"SC_AVPHYS_PAGES": 40_000, "SC_PAGE_SIZE": 4096}[name])  # 164 MB
    assert 1 <= found(tmp_path, replace(QUICK, batch_size=0, sizes_px=(256,)), MOST).batch_size < MOST


def test_processes_share_the_memory_of_one_processor(tmp_path: Path, available: Callable[[int], None]) -> None:
    available(164_000_000)
    config = replace(QUICK, batch_size=0, sizes_px=(256,))
    alone = found(tmp_path, config, MOST).batch_size
    assert alone < MOST
    assert found(tmp_path, config, 2 * MOST, Processes(0, 2)).batch_size <= alone


@pytest.mark.parametrize("lora_rank", [0, 2])
def test_the_detector_is_left_as_it_came(tmp_path: Path, lora_rank: int) -> None:
    detector = tiny_grounding_detector()
    before = {name: value.clone() for name, value in detector.model.state_dict().items()}
    learns = {name: value.requires_grad for name, value in detector.model.named_parameters()}
    random_state = torch.get_rng_state()
    images = squares(tmp_path, 2)
    config = replace(QUICK, batch_size=0, lora_rank=lora_rank)
    with_batch_size(config, detector, lambda settings: batches_of(detector, images, settings), 2, Processes())
    torch.testing.assert_close(detector.model.state_dict(), before, rtol=0, atol=0)
    assert {name: value.requires_grad for name, value in detector.model.named_parameters()} == learns
    assert torch.equal(torch.get_rng_state(), random_state)
    assert not detector.model.training


def test_a_run_keeps_the_size_it_found(tmp_path: Path) -> None:
    bench = make_bench(tmp_path / "workspace")
    add_squares(bench, train=5, val=1)
    request = bench.request(steps=1, settings=(*QUICK_SETTINGS, "batch_size=0"))
    document = run_training(bench.store, bench.root, request)
    plan, _ = RunFolder(bench.root / "runs" / document["run"]).read_plan()
    assert plan.config.batch_size == 5
    assert "A step takes 5 images, the most that fit into memory." in document["notes"]
    bench.store.close()
