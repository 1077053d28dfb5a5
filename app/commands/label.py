"""launch.py label and accept: predictions on a whole dataset, and their way into its annotations."""

import argparse
from uuid import uuid4

from annotations import queries
from annotations.predictions import accept_above
from app.commands.terminal import ProgressBar, print_document, say
from app.credentials import LOCAL
from app.failures import Refused
from app.services import opened
from app.services.jobs import Job
from app.services.labelling import Method
from app.services.ontologies import of_dataset, read_ontology
from app.services.questions import question, things


def run(arguments: argparse.Namespace) -> int:
    """Detect on all images of a dataset."""
    if arguments.runner != "local":
        raise Refused(f"The runner {arguments.runner!r} is not there yet: use --runner local.")
    if arguments.task != "detect" and not arguments.prompt:
        raise Refused(f"--task {arguments.task} needs a text: give it with --prompt.")
    with opened(arguments.workspace, arguments.database, arguments.detector, arguments.segmenter) as services:
        with services.store.reading() as session:
            dataset = queries.dataset_by_name(session, arguments.dataset)
            dataset_id = dataset.id
            if arguments.ontology:
                asked = things(read_ontology(arguments.ontology))
            elif arguments.prompt:
                asked = question(arguments.task, arguments.prompt)
            else:
                asked = things(of_dataset(session, dataset))
        job = WatchedJob(ProgressBar("labelling"))
        result = services.labeller.run(
            dataset_id,
            asked,
            None,
            job,
            method=Method(arguments.masks, arguments.tiles, arguments.consensus),
            batch=arguments.batch,
            again=arguments.again,
        )
        state = job.state
    for note in state.notes:
        say(note)
    for what, reason in state.skipped:
        say(f"skipped {what}: {reason}")
    document = {
        "dataset": arguments.dataset,
        **result,
        "predictions": state.detections,
        "skipped": [{"what": what, "reason": reason} for what, reason in state.skipped],
    }
    if arguments.json:
        print_document(document)
    else:
        counts = f"{state.detections} predictions on {result['images']} images"
        before = f" ({result['already']} looked at before)" if result["already"] else ""
        print(f"{arguments.dataset}: {counts} by {result['detector']}{before}")
    if state.skipped and len(state.skipped) == result["images"]:
        say(f"No image of {arguments.dataset!r} could be read: put the originals back where they were imported from.")
        return 1
    return 0


def run_accept(arguments: argparse.Namespace) -> int:
    """Turn pending predictions from a score upwards into annotations."""
    with opened(arguments.workspace, arguments.database) as services, services.store.writing() as session:
        dataset = queries.dataset_by_name(session, arguments.dataset)
        accepted = accept_above(session, dataset.id, arguments.threshold, LOCAL)
    if arguments.json:
        print_document({"dataset": arguments.dataset, "threshold": arguments.threshold, "accepted": accepted})
    else:
        print(f"{arguments.dataset}: {accepted} predictions of {arguments.threshold:g} or more accepted")
    return 0


class WatchedJob(Job):
    """A job that shows its progress in the terminal."""

    def __init__(self, bar: ProgressBar) -> None:
        super().__init__(uuid4())
        self._bar = bar

    def progress(self, done: int, total: int) -> None:
        """As for any job, and on the terminal."""
        super().progress(done, total)
        self._bar(done, total)
