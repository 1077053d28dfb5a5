"""What a run would begin with, without beginning it: for checks and previews."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from annotations.database import Store
from engine.checkpoints import load_grounding_detector
from engine.devices import pick_device
from engine.grounding import GroundingDetector
from training.checks.overfit import check_overfit
from training.checks.problem import Report
from training.checks.subject import Subject, parts_of, read_subject, readable
from training.config import TrainConfig
from training.data import Batch
from training.job import TrainRequest
from training.lesson import lesson_of
from training.material import read_material
from training.preflight import preflight
from training.preview import ShownSample, shown_samples
from training.processes import Processes
from training.replay import Memory

_BATCH_SIZE = 2  # where the run would find its own by trying


@dataclass(frozen=True)
class Preview:
    """The first samples a run would learn from, and the names of the files they come from, by image id."""

    samples: tuple[ShownSample, ...]
    names: Mapping[int, str]

    def to_json(self) -> dict[str, Any]:
        """The words and boxes of each sample, for scripts."""
        return {
            "samples": [
                {
                    "image": self.names.get(sample.image_id),
                    "step": sample.step,
                    "size_hw": list(sample.size_hw),
                    "tokens": [token.text for token in sample.tokens if token.role != "padding"],
                    "unknown": [place for place, token in enumerate(sample.tokens) if token.role == "unknown"],
                    "boxes": [
                        {"name": box.name, "xyxy": [round(edge, 2) for edge in box.xyxy], "tokens": list(box.places)}
                        for box in sample.boxes
                    ],
                }
                for sample in self.samples
            ]
        }


def check_request(store: Store, workspace: Path, request: TrainRequest, *, overfit: bool = True) -> Report:
    """Everything that can be said against a run before it begins.

    Args:
        store: the open database.
        workspace: the user's folder, where the run would write.
        request: what would be asked for.
        overfit: whether a copy of the detector is tried on one batch, where nothing else keeps it from starting.

    Raises:
        ConfigRefused: settings that are unknown or out of range, all of them.
        NotFound: no such dataset.
        EngineError: the detector can't be loaded.
    """
    request.config(TrainConfig())  # bad settings are told before the detector is loaded
    with store.reading() as session:
        subject = read_subject(session, request.dataset)
    detector = _loaded(request)
    config = _config(request, subject, detector)
    with store.reading() as session:
        report = preflight(session, request.dataset, detector, config, workspace)
    if report.errors or not overfit:
        return report
    return report + check_overfit(detector, _batches_of(store, request, detector, config, report), config)


def preview_request(
    store: Store, request: TrainRequest, count: int, detector: GroundingDetector | None = None
) -> Preview:
    """The first `count` images as the run would learn from them.

    Args:
        store: the open database.
        request: what would be asked for.
        count: of images.
        detector: of the request, where it is loaded already; it is not changed and not run.

    Raises:
        ConfigRefused, NotFound, EngineError: as for `check_request`.
        NothingToTrain: the dataset has no annotation to learn from.
        PromptError: its phrases can't be asked for.
        ImageRefused: an image can't be read.
    """
    request.config(TrainConfig())
    with store.reading() as session:
        subject = read_subject(session, request.dataset)
    detector = detector or _loaded(request)
    config = _config(request, subject, detector)
    batches = _batches_of(store, request, detector, config)
    colors = _colors(subject)
    samples = shown_samples(batches, count, detector.tokenizer, detector.preprocessing, colors)
    names = {image.id: image.file_name for image in subject.images}
    names |= {image.id: image.file_name for image in subject.captioned}
    return Preview(tuple(samples), names)


def _loaded(request: TrainRequest) -> GroundingDetector:
    return load_grounding_detector(request.source, device=str(pick_device(request.device)), name=request.detector)


def _config(request: TrainRequest, subject: Subject, detector: GroundingDetector) -> TrainConfig:
    """The settings the run would have."""
    early = request.config(TrainConfig())
    parameters = sum(value.numel() for value in detector.model.parameters())
    parts = parts_of(subject, early)
    images = len(parts.train) + len(parts.train_texts)
    config = request.config_for(detector.device, images, parameters)
    return config if config.batch_size else replace(config, batch_size=max(_BATCH_SIZE, config.accumulate))


def _batches_of(
    store: Store, request: TrainRequest, detector: GroundingDetector, config: TrainConfig, report: Report | None = None
) -> Callable[[int], list[Batch]]:
    """The run's own batches, without what it would replay: for that the detector would have to look at images."""
    with store.reading() as session:
        material = read_material(session, request.dataset)
    left_out = sorted(report.unusable) if report else ()
    return lesson_of(material, Memory(), detector, config, left_out).batches(detector, config, Processes())


def _colors(subject: Subject) -> dict[str, str]:
    return {
        phrase: named.color
        for named in subject.categories
        if (category := readable(named)) is not None
        for phrase in category.phrases
    }
