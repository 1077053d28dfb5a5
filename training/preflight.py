"""What is checked before the first step: everything that is wrong is told at once, in words."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from training.checks.files import check_files
from training.checks.labels import check_labels, check_sizes
from training.checks.problem import Problem, Report, in_order
from training.checks.subject import Parts, Subject, parts_of, read_subject
from training.checks.words import Reader, check_text, check_texts, check_tokens
from training.config import TrainConfig
from training.errors import JobRefused

if TYPE_CHECKING:
    from engine.grounding import GroundingDetector
    from engine.preprocessing import Preprocessing

READING_SECONDS = 20.0  # for the image files; a run of hours should not wait for a set of a million


class PreflightRefused(JobRefused):
    """A run can't start; `report` has every reason."""

    def __init__(self, report: Report, dataset: str) -> None:
        reasons = "; ".join(problem.headline for problem in report.errors)
        count = len(report.errors)
        super().__init__(
            f"Dataset {dataset!r} can't be taught yet, for {count} {'reason' if count == 1 else 'reasons'}: {reasons}. "
            "`train --check` says what to do about each."
        )
        self.report = report


def quick_check(session: Session, dataset: str, config: TrainConfig | None = None) -> Report:
    """What can be seen in the labels alone, without a detector and without reading a file; in milliseconds.

    Raises:
        NotFound: there is no dataset of this name.
    """
    config = config or TrainConfig()
    subject = read_subject(session, dataset)
    return Report(in_order(_of_labels(subject, parts_of(subject, config), config)))


def preflight(
    session: Session,
    dataset: str,
    detector: "GroundingDetector",
    config: TrainConfig,
    folder: Path,
    *,
    seconds: float = READING_SECONDS,
) -> Report:
    """Check a dataset, and the files of its images, against a detector and settings; nothing is changed.

    Args:
        session: to read from.
        dataset: its name.
        detector: the one to be taught.
        config: the settings of the run.
        folder: of the workspace, where the run will write.
        seconds: for reading the image files.

    Raises:
        NotFound: there is no dataset of this name.
    """
    from training.captions import CaptionSampler  # torch: only where a detector is at hand
    from training.checks.space import check_space

    subject = read_subject(session, dataset)
    parts = parts_of(subject, config)
    reader = _reader(detector)
    sampler = CaptionSampler(reader.tokenizer, reader.most_tokens, reader.block_tokens)
    found = [
        *_of_labels(subject, parts, config),
        *check_tokens(subject.categories, reader),
        *check_texts(parts.train_texts, sampler.readable(parts.train_texts)),
        *check_sizes(parts, _working_size(detector, config), int(detector.model.config.num_queries)),
        *check_space(folder, detector.model, config),
    ]
    return Report(in_order(found)) + check_files(parts, subject.digests, seconds)


def refuse_errors(report: Report, dataset: str) -> None:
    """Go on only where nothing keeps the run from starting.

    Raises:
        PreflightRefused: naming every reason in one line.
    """
    if report.errors:
        raise PreflightRefused(report, dataset)


def _of_labels(subject: Subject, parts: Parts, config: TrainConfig) -> Iterator[Problem]:
    yield from check_text(subject, config.flip)
    yield from check_labels(subject, parts, config.novel)


def _reader(detector: "GroundingDetector") -> Reader:
    from training.replay import token_limits

    return Reader(detector.tokenizer, *token_limits(detector))


def _working_size(detector: "GroundingDetector", config: TrainConfig) -> "Preprocessing":
    from training.data import resized_to

    return resized_to(detector.preprocessing, config.short_side_px) if config.short_side_px else detector.preprocessing
