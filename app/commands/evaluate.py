"""launch.py evaluate: how well a detector finds what people annotated."""

import argparse

from app.commands.terminal import ProgressBar, print_document
from app.failures import Refused
from app.services import opened
from app.services.evaluating import evaluate_dataset


def run(arguments: argparse.Namespace) -> int:
    """Score a detector on the annotated images of a dataset."""
    if arguments.task != "detect":
        raise Refused(f"evaluate --task {arguments.task} is not there yet: use --task detect.")
    with opened(arguments.workspace, arguments.database, arguments.detector) as services:
        document = evaluate_dataset(
            services.store, services.models, arguments.dataset, arguments.split, progress=ProgressBar("evaluating")
        )
    if arguments.json:
        print_document(document.as_json())
        return 0
    print(f"{document.detector} on {document.dataset} ({document.split or 'all images'}, {document.images} images)")
    for name, value in document.metrics.items():
        print(f"  {name:8} {'none' if value is None else f'{value:.3f}'}")
    for name, row in document.per_category.items():
        score = row.get("AP50")
        print(f"    {name:24} AP50 {'none' if score is None else f'{score:.3f}'}")
    return 0
