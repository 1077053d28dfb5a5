"""launch.py serve: the page."""

import argparse
import threading

from app.commands.terminal import say
from app.failures import explain
from app.services import Services, opened


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    from app.credentials import Credentials, check_binding
    from app.server import serve

    auth = Credentials.parse(arguments.auth) if arguments.auth else None
    check_binding(arguments.host, auth)
    with opened(arguments.workspace, arguments.database, arguments.detector, arguments.segmenter) as services:
        threading.Thread(target=warm_up, args=[services], daemon=True).start()
        serve(services, host=arguments.host, port=arguments.port, auth=auth, open_browser=not arguments.no_browser)
    return 0


def warm_up(services: Services) -> None:
    """Load the models and run them once while the page opens: the first prompt then waits for neither.

    What goes wrong here goes wrong again, and is told on the page, at the first prompt.
    """
    try:
        services.models.warm_up()
        services.outliner.warm_up()
    except Exception as error:
        say(explain(error))
