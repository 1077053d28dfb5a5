"""launch.py train --check: what can be said against a run before it begins."""

import argparse

from app.commands.terminal import print_document, say
from app.commands.train import request_of
from app.services import opened
from training.checks.problem import counted
from training.rehearsal import check_request


def run(arguments: argparse.Namespace) -> int:
    """Print every problem in a line of its own; fails where one keeps a run from starting."""
    with opened(arguments.workspace, arguments.database, arguments.detector) as services:
        say("Reading the labels and the images, and trying the detector on one batch ...")
        report = check_request(services.store, services.workspace.root, request_of(arguments, services))
    if arguments.json:
        print_document(report.to_json())
    else:
        for problem in report.problems:
            print(f"{problem.severity}: {problem.line}")
    if report.errors:
        many = "error keeps" if len(report.errors) == 1 else "errors keep"
        say(f"{len(report.errors)} {many} a run on {arguments.dataset!r} from starting.")
        return 1
    if not arguments.json:
        print(f"A run can start. {counted(len(report.warnings), 'warning')}.")
    return 0
