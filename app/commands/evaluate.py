"""launch.py evaluate: how well a detector finds what people annotated."""

import argparse

from app.commands.terminal import ProgressBar, print_document, say
from app.failures import Refused
from app.services import opened
from app.services.evaluating import EvaluationDocument, keep, measure
from app.services.evaluation_report import publish_report


def run(arguments: argparse.Namespace) -> int:
    """Score a detector on the annotated images of a dataset; the result is kept for the page."""
    if arguments.output and arguments.output.exists():
        raise FileExistsError(f"{str(arguments.output)!r} already exists: choose another name.")
    if arguments.task != "detect":
        raise Refused(f"evaluate --task {arguments.task} is not there yet: use --task detect.")
    with opened(arguments.workspace, arguments.database, arguments.detector) as services:
        measured = measure(
            services.store,
            services.models,
            arguments.dataset,
            arguments.split,
            threshold=arguments.threshold,
            progress=ProgressBar("evaluating"),
        )
        keep(services.store, measured.document)
    if arguments.output:
        publish_report(measured, arguments.output)
        say(f"The report is {arguments.output / 'report.html'}.")
    if arguments.json:
        print_document(measured.document.as_json())
    else:
        print_summary(measured.document)
    return 0


def print_summary(document: EvaluationDocument) -> None:
    """The numbers for a person to read."""
    print(f"{document.detector} on {document.dataset} ({document.split or 'all images'}, {document.images} images)")
    for name, value in document.metrics.items():
        print(f"  {name:24} {_score(value)}")
    for name, row in document.per_category.items():
        values = "  ".join(f"{key} {_score(value)}" for key, value in row.items())
        advice = (document.suggested_thresholds or {}).get(name)
        print(f"    {name:24} {values}" + (f"  threshold {advice['threshold']:.2f}" if advice else ""))


def _score(value: float | int | None) -> str:
    if value is None:
        return "none"
    return str(value) if isinstance(value, int) else f"{value:.3f}"
