"""launch.py serve: the page."""

import argparse

from app.services import opened


def run(arguments: argparse.Namespace) -> int:
    """Serve the page until it is interrupted."""
    from app.credentials import Credentials, check_binding
    from app.server import serve

    auth = Credentials.parse(arguments.auth) if arguments.auth else None
    check_binding(arguments.host, auth)
    with opened(arguments.workspace, arguments.database, arguments.detector, arguments.segmenter) as services:
        serve(services, host=arguments.host, port=arguments.port, auth=auth, open_browser=not arguments.no_browser)
    return 0
