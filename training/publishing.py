"""A taught detector as a checkpoint: a folder that loads anywhere, and a row that makes it known."""

import hashlib
import json
import re
from collections.abc import Collection, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from safetensors import SafetensorError

from annotations import runs
from annotations.database import Store
from common.publish import published_folder
from engine.checkpoints import save_detector
from engine.grounding import GroundingDetector
from training.environment import environment
from training.errors import CheckpointNotSaved, JobRefused
from training.lora import FOLDER as ADAPTER
from training.lora import has_adapter, merge_adapter, save_adapter
from training.material import Material
from training.metrics.coco import Evaluation
from training.run_folder import Plan

MANIFEST = "groundwork.json"
RESERVED_NAMES = frozenset({"auto", "starter", "none"})

_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


@dataclass(frozen=True)
class Taught:
    """What a run has reached.

    Attributes:
        before: how good the detector was as it came.
        after: how good it became.
        step: at which the weights were the best.
        base_sha256: `training.lora.weights_sha256` of the detector as it came.
        kept: see `training.forgetting.kept`.
    """

    before: Evaluation
    after: Evaluation
    step: int
    base_sha256: str
    kept: float | None = None


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
    material: Material,
    detector: GroundingDetector,
    taught: Taught,
) -> Path:
    """Save the detector under the run's name, manifest last, and register it; returns its folder.

    Low-rank adapters are kept in the folder `adapter` beside the weights, into which they are merged: what is saved
    loads as any other checkpoint.

    Safe to repeat: a folder this run published before it was killed is registered, not made twice. A run that was
    stopped, published and taken up again gets the next free name of the same stem.

    Raises:
        CheckpointNotSaved: the disk is full or refuses; nothing half-written is left.
    """
    for name in (plan.name, *_first(_numbered(plan.name, 2), 1000)):
        folder = checkpoints / name
        if not folder.exists():
            _write(folder, run_id, plan, material, detector, taught)
        elif not _is_own(folder, run_id, taught.step):
            continue
        _register(store, folder, run_id, plan, material, taught)
        return folder
    raise JobRefused(f"No free name like {plan.name!r} is left in {str(checkpoints)!r}. Tidy it up.")


def prompt_text(material: Material) -> str:
    """All phrases of the dataset as one prompt, each with its '.'."""
    return " ".join(f"{phrase}." for category in material.categories for phrase in category.phrases)


def _write(
    folder: Path, run_id: UUID, plan: Plan, material: Material, detector: GroundingDetector, taught: Taught
) -> None:
    try:
        with published_folder(folder) as aside:
            if has_adapter(detector.model):
                save_adapter(detector.model, aside / ADAPTER, plan.source, taught.base_sha256)
                merge_adapter(detector.model)
            save_detector(detector, aside)
            manifest = _manifest(aside, run_id, plan, material, taught)
            text = json.dumps(manifest, indent=2, ensure_ascii=False, allow_nan=False)
            (aside / MANIFEST).write_text(text, encoding="utf-8")
    except (OSError, SafetensorError) as error:
        reason = " ".join(str(error).split())
        raise CheckpointNotSaved(
            f"The checkpoint can't be written to {str(folder)!r}: {reason}. Free space on the disk, then resume run "
            f"{run_id}: what it learned is kept."
        ) from error


def _register(store: Store, folder: Path, run_id: UUID, plan: Plan, material: Material, taught: Taught) -> None:
    before = {f"{key}_before": taught.before.metrics[key] for key in ("AP", "AP50") if key in taught.before.metrics}
    with store.writing() as session:
        if any(row.name == folder.name for row in runs.checkpoints(session)):
            return
        runs.register_checkpoint(
            session,
            folder.name,
            folder,
            plan.detector,
            run_id=run_id,
            dataset_id=material.id,
            metrics={**taught.after.metrics, **before},
        )


def _manifest(folder: Path, run_id: UUID, plan: Plan, material: Material, taught: Taught) -> dict[str, Any]:
    made_with = environment(plan.device)
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {
        "format": 1,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "run": str(run_id),
        "base": plan.detector,
        "base_source": plan.source,
        "base_sha256": taught.base_sha256,
        "adapter": ADAPTER if (folder / ADAPTER).is_dir() else None,
        "dataset": material.name,
        "snapshot": material.snapshot_id,
        "categories": {category.name: list(category.phrases) for category in material.categories},
        "prompt": prompt_text(material),
        "config": asdict(plan.config),
        "step": taught.step,
        "before": asdict(taught.before),
        "after": asdict(taught.after),
        "kept": taught.kept,
        "versions": made_with["versions"],
        "commit": made_with["commit"],
        "uncommitted": made_with["uncommitted"],
        "sha256": {path.relative_to(folder).as_posix(): _sha256(path) for path in files},
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


def _numbered(stem: str, start: int) -> Iterator[str]:
    number = start
    while True:
        yield f"{stem}-{number}"
        number += 1


def _first(names: Iterator[str], count: int) -> Iterator[str]:
    for _ in range(count):
        yield next(names)
