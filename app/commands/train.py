"""launch.py train: one training run from start to end, in this process."""

import argparse
import json
import sys
from typing import Any
from uuid import UUID

from app.commands.terminal import print_document, say
from app.failures import Refused
from app.services import Services, opened
from app.services.workspace import Workspace
from training.errors import PeerFailed, TrainingError
from training.job import TrainRequest, follow_training, resume_training, run_training
from training.processes import Processes, joined


def run(arguments: argparse.Namespace) -> int:
    """Teach the detector, or go on with a run; Ctrl+C keeps the best so far.

    Started several times by `torchrun`, the first process speaks for all.
    """
    with joined() as processes:
        if processes.leads:
            return _lead(arguments, processes)
        try:
            follow_training(Workspace.open(arguments.workspace).root, processes)
        except PeerFailed:
            return 1
        except TrainingError as error:
            processes.fail(error)  # the first process prints it
            return 1
    return 0


def _lead(arguments: argparse.Namespace, processes: Processes) -> int:
    line = _print_line if arguments.json else _Narrator()
    with opened(arguments.workspace, arguments.database, arguments.detector) as services:
        store, root = services.store, services.workspace.root
        if arguments.resume:
            document = resume_training(store, root, _run_id(arguments.resume), say=line, processes=processes)
        else:
            run_id = _run_id(arguments.run) if arguments.run else None
            request = request_of(arguments, services)
            document = run_training(store, root, request, run_id=run_id, say=line, processes=processes)
    if arguments.json:
        print_document(document)
    else:
        _print_outcome(document)
    return 0


def request_of(arguments: argparse.Namespace, services: Services) -> TrainRequest:
    """What the flags of `train` and `preview` ask for."""
    detector = services.models.current()
    return TrainRequest(
        dataset=arguments.dataset,
        detector=detector,
        source=services.models.source(detector),
        name=vars(arguments).get("name"),  # a preview makes no checkpoint
        mode=arguments.mode,
        steps=arguments.steps,
        config_file=arguments.config,
        settings=tuple(arguments.settings),
    )


def _run_id(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise Refused(f"{text!r} is not the id of a run: they look like {UUID(int=0)}.") from None


def _print_line(line: dict[str, Any]) -> None:
    print(json.dumps(line), file=sys.stderr, flush=True)


class _Narrator:
    """Progress for a person: steps on one line that is written over, what matters on lines of its own."""

    def __init__(self) -> None:
        self._terminal = sys.stderr.isatty()

    def __call__(self, line: dict[str, Any]) -> None:
        if "note" in line:
            self._tell(line["note"])
        elif line.get("event") == "evaluation":
            scores = "  ".join(f"{name} {_score(line[name])}" for name in _measured(line))
            self._tell(f"step {line['step']}: {scores}")
        elif "loss" in line:
            left = line.get("eta_seconds")
            text = f"step {line['step']}/{line['steps']}  loss {line['loss']:.3f}"
            text += f"  {left / 60:.1f} min left" if left is not None else ""
            if self._terminal:
                sys.stderr.write(f"\r{text}\x1b[K")
                sys.stderr.flush()
            else:
                say(text)

    def _tell(self, text: str) -> None:
        say(f"\r\x1b[K{text}" if self._terminal else text)


def _print_outcome(document: dict[str, Any]) -> None:
    if document["checkpoint"] is None:
        print("Stopped before the first step: nothing was learnt, nothing was kept.")
        return
    before, after = document["before"] or {}, document["metrics"] or {}
    print(f"{document['checkpoint']} in {document['folder']} ({document['state']})")
    for metric in _measured(after):
        print(f"  {metric:5} {_score(before.get(metric))} before, {_score(after.get(metric))} after")
    if document.get("kept") is not None:
        print(f"  kept  {_score(document['kept'])} of what it was sure of on other images")
    print(f"Put it to work: launch.py models promote {document['checkpoint']}")


def _measured(found: dict[str, Any]) -> list[str]:
    """The measures to show: those of texts where nothing is measured by category."""
    texts: list[str] = [name for name in ("R@1", "P@1") if name in found]
    if texts and found.get("AP") is None:
        return texts
    return ["AP", "AP50", *(name for name in ("AP50_base", "AP50_novel") if name in found)]


def _score(value: float | None) -> str:
    return "none" if value is None else f"{value:.3f}"
