"""The detectors and segmenters at hand: found by name, loaded once, promoted and rolled back."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from annotations import runs
from annotations.database import Store
from annotations.errors import NotFound
from app.services.turns import Turns, Urgency
from common.sharing import SharedDevice

if TYPE_CHECKING:
    from engine.recovery import RecoveringDetector
    from engine.segmenters.base import Segmenter

Role = Literal["detector", "segmenter"]

STARTER = "starter"
LLMDET = "iSEE-Laboratory/llmdet_tiny"

HUB_NAMES = {
    "llmdet_tiny": LLMDET,
    "llmdet_base": "iSEE-Laboratory/llmdet_base",
    "llmdet_large": "iSEE-Laboratory/llmdet_large",
    "grounding-dino-tiny": "IDEA-Research/grounding-dino-tiny",
    "grounding-dino-base": "IDEA-Research/grounding-dino-base",
    "mm_grounding_dino_tiny": "openmmlab-community/mm_grounding_dino_tiny_o365v1_goldg_v3det",
    "mm_grounding_dino_base": "openmmlab-community/mm_grounding_dino_base_all",
    "mm_grounding_dino_large": "openmmlab-community/mm_grounding_dino_large_all",
    "owlv2-base": "google/owlv2-base-patch16-ensemble",
    "owlv2-large": "google/owlv2-large-patch14-ensemble",
    "omdet-turbo-tiny": "omlab/omdet-turbo-swin-tiny-hf",
    "sam3": "facebook/sam3",
}
"""Short names of public detectors; any other hub id works as well."""

SEGMENTERS = {
    "sam-base": "facebook/sam-vit-base",
    "sam-huge": "facebook/sam-vit-huge",
    "sam2-tiny": "facebook/sam2.1-hiera-tiny",
    "sam2-large": "facebook/sam2.1-hiera-large",
}
"""Short names of public segmenters; any other hub id of a SAM or SAM 2 works as well."""

FEATURES_MB = 512
"""Kept of what the detector saw last, so that another prompt on an image need not look at it again: a dozen images of a
large detector in float32."""


_WARM_UP_PX = 128


class ModelNotFound(LookupError):
    """No detector has this name."""


@dataclass(frozen=True)
class ModelView:
    """A detector as a list shows it."""

    name: str
    base: str | None  # what it was taught from; None for one that came as it is
    created_at: datetime | None
    metrics: dict[str, float | None]
    promoted: bool


class Models:
    """Finds detectors by name and holds the ones in use; they take turns on one device."""

    def __init__(
        self,
        store: Store,
        detector: str = "auto",
        segmenter: str = "starter",
        is_cached: Callable[[str], bool] | None = None,
        shared: SharedDevice | None = None,
    ) -> None:
        """Args:
        store: knows the trained checkpoints.
        detector: name, hub id or folder; "auto": see `current`.
        segmenter: name, .pth file or folder.
        is_cached: whether a hub id's weights are on this machine.
        shared: the device, with other processes.
        """
        self._store = store
        self._asked = detector
        self._asked_segmenter = segmenter
        self._is_cached = is_cached or _is_cached
        self._device = Turns(shared)
        self._loaded: tuple[str, RecoveringDetector] | None = None
        self._second: tuple[str, RecoveringDetector] | None = None
        self._segmenter: Segmenter | None = None
        self._fingerprints: dict[tuple[object, ...], str] = {}

    @contextmanager
    def device(self, urgency: Urgency = Urgency.BATCH, is_wanted: Callable[[], bool] | None = None) -> Iterator[None]:
        """Hold the device: clicks, detections and measurements take turns on it, see `Turns`.

        Raises:
            NoLongerWanted: `is_wanted` says no while waiting.
        """
        with self._device.turn(urgency, is_wanted):
            yield

    def current(self) -> str:
        """The name of the detector in use: the one asked for, else the promoted one, else the best at hand."""
        if self._asked != "auto":
            return self._asked
        with self._store.reading() as session:
            promoted = runs.promoted(session)
            chosen = runs.is_chosen(session)
        if promoted is not None:
            return promoted.name
        return LLMDET if not chosen and self._is_cached(LLMDET) else STARTER

    def fingerprint(self, name: str | None = None) -> str:
        """Equal for equal weights and settings, whatever they are called.

        Raises:
            ModelNotFound: as `detector`.
            engine.errors.WeightsMissing: as `detector`.
        """
        from engine.checkpoint_files import fingerprint
        from engine.checkpoints import folder_of

        folder = folder_of(self.source(name or self.current()))
        files = [(path, path.stat()) for path in sorted(folder.iterdir()) if path.is_file()]
        as_it_is = (folder, *((path.name, stat.st_size, stat.st_mtime_ns) for path, stat in files))
        if as_it_is not in self._fingerprints:  # gigabytes are read for it
            self._fingerprints[as_it_is] = fingerprint(folder)
        return self._fingerprints[as_it_is]

    def detector(self, name: str | None = None, is_wanted: Callable[[], bool] | None = None) -> "RecoveringDetector":
        """The detector of that name (default: `current`), loaded when it is first needed.

        Raises:
            NoLongerWanted: `is_wanted` says no while waiting for the device.
            ModelNotFound: no checkpoint, folder or fetched hub id of that name.
            engine.errors.EngineError: it is there and can't be loaded.
        """
        wanted = name or self.current()
        loaded = self._loaded
        if loaded is not None and loaded[0] == wanted:
            return loaded[1]
        with self._device.turn(Urgency.PAGE, is_wanted):
            if self._loaded is None or self._loaded[0] != wanted:
                self._loaded = None  # let go of the old one first: two may not fit
                self._loaded = wanted, self._load(wanted, FEATURES_MB)
            return self._loaded[1]

    def second(self, name: str, is_wanted: Callable[[], bool] | None = None) -> "RecoveringDetector":
        """Another detector beside the one in use, to compare the two; the one asked for last is kept.

        Raises:
            NoLongerWanted: as `detector`.
            ModelNotFound: as `detector`.
            engine.errors.EngineError: as `detector`.
        """
        with self._device.turn(Urgency.PAGE, is_wanted):
            if self._second is None or self._second[0] != name:
                self._second = None
                self._second = name, self._load(name, 0)
            return self._second[1]

    def _load(self, name: str, keep_mb: int) -> "RecoveringDetector":
        from engine.checkpoints import load_detector
        from engine.recovery import RecoveringDetector

        source = self.source(name)
        return RecoveringDetector(lambda device: load_detector(source, device=device, name=name, keep_mb=keep_mb))

    def warm_up(self) -> None:
        """Load the detector and run it once, so that the first question need not wait for it.

        Raises:
            ModelNotFound: as `detector`.
            engine.errors.EngineError: as `detector`.
        """
        import numpy as np

        from engine.ontology import Ontology
        from engine.preprocessing import Resized

        blank = np.zeros((_WARM_UP_PX, _WARM_UP_PX, 3), np.uint8)
        detector = self.detector()
        with self.device(Urgency.IDLE):
            detector.detect([Resized(blank, (_WARM_UP_PX, _WARM_UP_PX))], Ontology.from_names(["thing"]))

    def loaded(self) -> "RecoveringDetector | None":
        """The detector at hand, if there is one."""
        loaded = self._loaded
        return loaded[1] if loaded else None

    def segmenter(self) -> "Segmenter":
        """The segmenter in use, loaded when it is first needed."""
        if self._segmenter is not None:
            return self._segmenter
        with self._device.turn(Urgency.PAGE):
            if self._segmenter is None:
                from engine.segmenters.loading import load_segmenter

                self._segmenter = load_segmenter(SEGMENTERS.get(self._asked_segmenter, self._asked_segmenter))
            return self._segmenter

    @property
    def segmenter_name(self) -> str:
        """What the segmenter was asked for as."""
        return self._asked_segmenter

    def source(self, name: str) -> str | Path:
        """Where a detector's weights are: a folder, or a hub id to be looked up in the local cache."""
        if name == "auto":
            return self.source(self.current())
        if name == STARTER:
            return STARTER
        with self._store.reading() as session:
            registered = {row.name: Path(row.folder) for row in runs.checkpoints(session)}
        if name in registered:
            return registered[name]
        if Path(name).is_dir():
            return Path(name)
        if name in HUB_NAMES or name.count("/") == 1:
            return HUB_NAMES.get(name, name)
        known = ", ".join([STARTER, *registered, *HUB_NAMES])
        raise ModelNotFound(f"There is no detector {name!r}: use a folder, a hub id, or one of {known}.")

    def fetched(self) -> list[str]:
        """Short names of the public detectors that are on this machine."""
        return [name for name, hub_id in HUB_NAMES.items() if self._is_cached(hub_id)]

    def list(self) -> list[ModelView]:
        """The starter and all trained checkpoints, newest first."""
        with self._store.reading() as session:
            promoted = runs.promoted(session)
            rows = runs.checkpoints(session)
            trained = [
                ModelView(row.name, row.base, row.created_at, dict(row.metrics), row == promoted)
                for row in sorted(rows, key=lambda row: row.created_at, reverse=True)
            ]
        return [*trained, ModelView(STARTER, None, None, {}, promoted is None)]

    def promote(self, name: str) -> None:
        """Put a trained checkpoint (or the starter) to work from now on.

        Raises:
            ModelNotFound: a public detector.
            annotations.errors.NotFound: no such checkpoint.
        """
        try:
            with self._store.writing() as session:
                runs.promote(session, None if name == STARTER else name)
        except NotFound:
            if name not in HUB_NAMES and name not in HUB_NAMES.values():
                raise
            raise ModelNotFound(f"{name!r} was not taught here: use it by --detector {name}.") from None
        self._asked = "auto"  # the choice of now outweighs the one this process was started with

    def rollback(self) -> str:
        """Go back to the detector that was promoted before; answers its name."""
        with self._store.writing() as session:
            runs.rollback(session)
        self._asked = "auto"
        return self.current()


def pull(name: str) -> Role:
    """Fetch a public checkpoint from the hub into the local cache and load it once; the only place that downloads.

    Raises:
        engine.errors.EngineError: the hub can't be reached, has no such checkpoint, or it can't be loaded.
    """
    from engine.checkpoints import folder_of, load_detector
    from engine.segmenters.loading import is_segmenter, load_segmenter

    folder = folder_of(hub_id_of(name), allow_download=True)
    if is_segmenter(folder):
        load_segmenter(folder, device="cpu")
        return "segmenter"
    load_detector(folder, device="cpu")
    return "detector"


def hub_id_of(name: str) -> str:
    """What the hub calls a detector or segmenter with a short name; other names are as they are."""
    return {**HUB_NAMES, **SEGMENTERS}.get(name, name)


def _is_cached(hub_id: str) -> bool:
    from huggingface_hub import try_to_load_from_cache

    return isinstance(try_to_load_from_cache(hub_id, "model.safetensors"), str)
