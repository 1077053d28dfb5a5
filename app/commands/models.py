"""launch.py models: which detectors there are and which one works."""

import argparse
from dataclasses import asdict

from app.commands.terminal import print_document, say
from app.services import Services, opened
from app.services.models import hub_id_of, pull


def run(arguments: argparse.Namespace) -> int:
    """List, fetch, promote or roll back."""
    if arguments.action in ("pull", "promote") and not arguments.name:
        example = {"pull": "llmdet_tiny", "promote": "parts-1, a detector that was taught here"}[arguments.action]
        say(f"models {arguments.action} needs a name, as in: models {arguments.action} {example}")
        return 2
    if arguments.action == "pull":
        hub_id = hub_id_of(arguments.name)
        say(f"Fetching {hub_id} from the hub (hundreds of MB).")
        role = pull(arguments.name)
        say(f"{arguments.name} is at hand: use it with --{role} {arguments.name}.")
        if arguments.json:
            print_document({"pulled": arguments.name, "hub_id": hub_id})
        return 0
    with opened(arguments.workspace, arguments.database) as services:
        if arguments.action == "promote":
            services.models.promote(arguments.name)
        elif arguments.action == "rollback":
            services.models.rollback()
        show(services, as_json=arguments.json)
    return 0


def show(services: Services, *, as_json: bool) -> None:
    """All detectors at hand, the one in use marked."""
    views, fetched, current = services.models.list(), services.models.fetched(), services.models.current()
    if as_json:
        document = {"current": current, "models": [asdict(view) for view in views], "fetched": fetched}
        print_document(document)
        return
    for view in views:
        score = view.metrics.get("AP50")
        what = "" if score is None else f"AP50 {score:.3f}"
        print(f"{'*' if view.name == current else ' '} {view.name:30} {view.base or '':20} {what}".rstrip())
    for name in fetched:
        print(f"{'*' if hub_id_of(name) == hub_id_of(current) else ' '} {name:30} fetched, used by --detector {name}")
    print(f"in use: {current}")
