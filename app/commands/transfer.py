"""launch.py import and export: datasets that come and go."""

import argparse

from annotations.importers import import_path
from app.commands.terminal import ProgressBar, print_document, say
from app.failures import Refused
from app.services import opened
from app.services.exporting import export_dataset
from app.services.importing import report_document


def run_import(arguments: argparse.Namespace) -> int:
    """Bring a folder or a label file into a dataset."""
    with opened(arguments.workspace, arguments.database) as services:
        report = import_path(
            services.store,
            arguments.dataset,
            arguments.path,
            format=arguments.format,
            images_dir=arguments.images,
            split=arguments.split,
            progress=ProgressBar("importing"),
        )
    if arguments.json:
        print_document(report_document(report))
    else:
        for skipped in report.skipped:
            say(f"skipped {skipped.what}: {skipped.reason}")
        there = f" ({report.known} more were there already)" if report.known else ""
        captions = f"{report.captions} captions, " if report.captions else ""
        print(
            f"{arguments.dataset}: {report.images} images{there}, {report.annotations} annotations, {captions}"
            f"{report.categories} categories; {len(report.skipped)} skipped"
        )
    if report.skipped and not (report.images or report.known or report.duplicates):
        say(f"No image of {str(arguments.path)!r} could be used: mend them, or name their folder by --images.")
        return 1
    return 0


def run_export(arguments: argparse.Namespace) -> int:
    """Write a dataset to a folder."""
    if arguments.snapshot:
        raise Refused("export --snapshot is not there yet: without it the dataset is written as it is now.")
    with opened(arguments.workspace, arguments.database) as services:
        report = export_dataset(
            services.store,
            arguments.dataset,
            arguments.output,
            format=arguments.format,
            images=arguments.images,
            masks=arguments.masks,
            progress=ProgressBar("exporting"),
        )
    if arguments.json:
        print_document(report_document(report))
    else:
        for skipped in report.skipped:
            say(f"skipped {skipped.what}: {skipped.reason}")
        print(
            f"{arguments.output}: {report.images} images, {report.annotations} annotations, "
            f"{report.categories} categories; loaded back and counted"
        )
    if report.skipped and not report.images:
        say(f"No image of {arguments.dataset!r} could be exported: put the originals back, or add --images none.")
        return 1
    return 0
