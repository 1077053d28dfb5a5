"""launch.py models: which detectors there are and which one works."""

import argparse
from dataclasses import asdict

from app.commands.terminal import print_document, say
from app.services import Services, opened
from app.services.models import HUB_NAMES, pull


def run(arguments: argparse.Namespace) -> int:
    """List, fetch, promote or roll back."""
    if arguments.action in ("pull", "promote") and not arguments.name:
        say(f"models {arguments.action} needs a name, as in: models {arguments.action} llmdet_tiny")
        return 2
    if arguments.action == "pull":
        hub_id = HUB_NAMES.get(arguments.name, arguments.name)
        say(f"Fetching {hub_id} from the hub (hundreds of MB).")
        pull(arguments.name)
        say(f"{arguments.name} is at hand: use it with --detector {arguments.name}.")
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
    """All detectors at hand, the promoted one marked."""
    views = services.models.list()
    if as_json:
        print_document({"current": services.models.current(), "models": [asdict(view) for view in views]})
        return
    for view in views:
        mark = "*" if view.promoted else " "
        score = view.metrics.get("AP50")
        print(f"{mark} {view.name:30} {view.base or '':20} {'' if score is None else f'AP50 {score:.3f}'}")
    print(f"in use: {services.models.current()}")
