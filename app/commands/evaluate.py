"""launch.py evaluate: how well a detector finds what people annotated."""

import argparse

from app.commands.terminal import ProgressBar, print_document, say
from app.services import Services, opened
from app.services.captions import evaluate_benchmark, evaluate_captions
from app.services.evaluating import Measured, keep, measure
from app.services.evaluation_document import EvaluationDocument
from app.services.evaluation_report import publish_report


def run(arguments: argparse.Namespace) -> int:
    """Score a detector on a dataset, or on a public benchmark's files; a dataset's result is kept for the page."""
    if fault := _fault(arguments):
        say(fault)
        return 2
    if arguments.output and arguments.output.exists():  # before hours of work
        raise FileExistsError(f"{str(arguments.output)!r} already exists: choose another name.")
    with opened(arguments.workspace, arguments.database, arguments.detector) as services:
        result = _measured(services, arguments)
        if not arguments.layout:
            keep(services.store, result.document)
    if arguments.output:
        publish_report(result, arguments.output)
        say(f"The report is {arguments.output / 'report.html'}.")
    if arguments.json:
        print_document(result.document.as_json())
    else:
        print_summary(result.document)
    return 0


def _fault(arguments: argparse.Namespace) -> str | None:
    """What is wrong with the flags taken together."""
    if bool(arguments.dataset) == bool(arguments.layout):
        return "Name what to measure on: --dataset NAME, or --layout NAME with the --annotations of a benchmark."
    if bool(arguments.layout) != bool(arguments.annotations):
        return "--layout and --annotations go together: --layout coco --annotations FILE --images DIR."
    if arguments.layout and (arguments.split or arguments.task != "detect"):
        return "--split and --task are for datasets: a benchmark's file is one split, and its layout says what to ask."
    if arguments.images and not arguments.layout:
        return "--images says where a benchmark's pictures are: a dataset knows its own. Leave it out."
    if arguments.parallel and arguments.layout != "d3":
        return "--parallel asks for D3's sentences one by one: add --layout d3, or leave it out."
    if arguments.thirteen and arguments.layout != "odinw":
        return "--thirteen chooses datasets of ODinW: add --layout odinw, or leave it out."
    return None


def _measured(services: Services, arguments: argparse.Namespace) -> Measured:
    """What was asked for, measured by the detector in use."""
    progress = ProgressBar("evaluating")
    if arguments.layout:
        from training.metrics.public import Place

        place = Place(arguments.layout, arguments.annotations, arguments.images)
        return Measured(
            evaluate_benchmark(
                services.models,
                place,
                threshold=arguments.threshold,
                parallel=arguments.parallel,
                thirteen=arguments.thirteen,
                progress=progress,
            )
        )
    asked = services.store, services.models, arguments.dataset, arguments.split
    if arguments.task == "detect":
        return measure(*asked, threshold=arguments.threshold, progress=progress)
    document = evaluate_captions(*asked, arguments.task, threshold=arguments.threshold, progress=progress)
    return Measured(document)


def print_summary(document: EvaluationDocument) -> None:
    """The numbers for a person to read."""
    print(f"{document.detector} on {document.dataset} ({document.split or 'all of it'}, {document.images} measured)")
    if skipped := document.skipped:
        print(f"  left out, as it can't be read: {skipped['count']} ({skipped['reasons'][0]})")
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
