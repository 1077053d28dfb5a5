"""launch.py preview: training samples as pictures, before anything is trained."""

import argparse

from app.commands.terminal import print_document
from app.commands.train import request_of
from app.services import opened
from training.preview import write_preview
from training.rehearsal import preview_request


def run(arguments: argparse.Namespace) -> int:
    """Write sheets and a page with the first samples that a run would learn from."""
    if arguments.output.exists():
        raise FileExistsError(f"{str(arguments.output)!r} already exists: choose another name.")
    with opened(arguments.workspace, arguments.database, arguments.detector) as services:
        found = preview_request(services.store, request_of(arguments, services), arguments.count)
    title = f"What is learnt from {arguments.dataset}"
    files = write_preview(found.samples, found.names, arguments.output, title)
    if arguments.json:
        print_document({"output": str(arguments.output), "files": [path.name for path in files], **found.to_json()})
    else:
        print(f"{len(found.samples)} samples: open {arguments.output / 'index.html'}")
    return 0
