"""A taught detector as a checkpoint: a folder that loads anywhere, and a row that makes it known."""

import hashlib
import json
import platform
import re
import subprocess
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import torch
import transformers
from safetensors import SafetensorError

from annotations import runs
from annotations.database import Store
from common.publish import published_folder
from engine.checkpoints import save_detector
from engine.grounding import GroundingDetector
from training.dataset import LabelledDataset
from training.errors import CheckpointNotSaved, JobRefused
from training.metrics.coco import Evaluation
from training.run_folder import Plan

MANIFEST = "groundwork.json"
RESERVED_NAMES = frozenset({"auto", "starter", "none"})

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Taught:
    """What a run has reached."""

    before: Evaluation
    after: Evaluation
    step: int  # at which the weights were the best


def checked_name(name: str, taken: Collection[str]) -> str:
    """`name`, once it is known to be free and fit for a folder.

    Raises:
        JobRefused: it is not.
    """
    if not _FILE_NAME.fullmatch(name):
        raise JobRefused(f"Checkpoint name {name!r} must be letters, digits, '.', '_' and '-', 100 at most. Change it.")
    if name in RESERVED_NAMES or name.casefold() in {other.casefold() for other in taken}:
        raise JobRefused(f"There already is a checkpoint or a run for one called {name!r}. Choose another name.")
    return name


def default_name(dataset: str, taken: Collection[str]) -> str:
    """<dataset>-<n> with the first free n; what can't stand in a folder's name becomes '-'."""
    stem = re.sub(r"[^A-Za-z0-9._]+", "-", dataset).strip("-._")[:80] or "dataset"
    folded = {name.casefold() for name in taken}
    return next(name for name in _numbered(stem, 1) if name.casefold() not in folded)


def publish(
    store: Store,
    checkpoints: Path,
    run_id: UUID,
    plan: Plan,
    dataset: LabelledDataset,
    detector: GroundingDetector,
    taught: Taught,
) -> Path:
    """Save the detector under the run's name, manifest last, and register it; returns its folder.

    Safe to repeat: a folder this run published before it was killed is registered, not made twice. A run that was
    stopped, published and taken up again gets the next free name of the same stem.

    Raises:
        CheckpointNotSaved: the disk is full or refuses; nothing half-written is left.
    """
    for name in (plan.name, *_first(_numbered(plan.name, 2), 1000)):
        folder = checkpoints / name
        if not folder.exists():
            _write(folder, run_id, plan, dataset, detector, taught)
        elif not _is_own(folder, run_id, taught.step):
            continue
        _register(store, folder, run_id, plan, dataset, taught)
        return folder
    raise JobRefused(f"No free name like {plan.name!r} is left in {str(checkpoints)!r}. Tidy it up.")


def prompt_text(dataset: LabelledDataset) -> str:
    """All phrases of the dataset as one prompt, each with its '.'."""
    return " ".join(f"{phrase}." for category in dataset.ontology.categories for phrase in category.phrases)


def _write(
    folder: Path, run_id: UUID, plan: Plan, dataset: LabelledDataset, detector: GroundingDetector, taught: Taught
) -> None:
    try:
        with published_folder(folder) as aside:
            save_detector(detector, aside)
            manifest = _manifest(aside, run_id, plan, dataset, taught)
            text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
            (aside / MANIFEST).write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointNotSaved(
            f"The checkpoint can't be written to {str(folder)!r}: {reason}. Free space on the disk, then resume run "
            f"{run_id}: what it learned is kept."
        ) from error


def _register(store: Store, folder: Path, run_id: UUID, plan: Plan, dataset: LabelledDataset, taught: Taught) -> None:
    before = {f"{key}_before": taught.before.metrics[key] for key in ("AP", "AP50")}
    with store.writing() as session:
        if any(row.name == folder.name for row in runs.checkpoints(session)):
            return
        runs.register_checkpoint(
            session,
            folder.name,
            folder,
            plan.detector,
            run_id=run_id,
            dataset_id=dataset.id,
            metrics={**taught.after.metrics, **before},
        )


def _manifest(folder: Path, run_id: UUID, plan: Plan, dataset: LabelledDataset, taught: Taught) -> dict[str, Any]:
    return {
        "format": 1,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": str(run_id),
        "base": plan.detector,
        "base_source": plan.source,
        "dataset": dataset.name,
        "categories": {category.name: list(category.phrases) for category in dataset.ontology.categories},
        "prompt": prompt_text(dataset),
        "config": asdict(plan.config),
        "step": taught.step,
        "before": asdict(taught.before),
        "after": asdict(taught.after),
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
            "groundwork": _git_commit(),
        },
        "sha256": {path.name: _sha256(path) for path in sorted(folder.iterdir())},
    }


def _is_own(folder: Path, run_id: UUID, step: int) -> bool:
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and (manifest.get("run"), manifest.get("step")) == (str(run_id), step)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _git_commit() -> str | None:
    """The commit this program stands at; None where it is no clone or git is absent."""
    try:
        answer = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout.strip() or None if answer.returncode == 0 else None


def _numbered(stem: str, start: int) -> Iterator[str]:
    number = start
    while True:
        yield f"{stem}-{number}"
        number += 1


def _first(names: Iterator[str], count: int) -> Iterator[str]:
    for _ in range(count):
        yield next(names)
