"""Joins the routes, the page and the guard to one application, and serves it."""

import errno
import os
import signal
import socket
import sys
import threading
import webbrowser
from pathlib import Path
from types import FrameType

import uvicorn
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware

from app.credentials import Credentials, check_binding
from app.guard import Guard, OwnNames
from app.routes import (
    datasets,
    detection,
    errors,
    evaluation,
    examples,
    images,
    models,
    status,
    teaching,
    transfer,
    web,
)
from app.routes.policies import UPLOAD_BODY
from app.services import Services

LARGEST_UPLOAD = f"{UPLOAD_BODY // 2**20}mb"
_SHUTDOWN_S = 3


class PortTaken(OSError):
    """The page cannot listen where it was asked to; the text is one line for a person."""


def build_app(services: Services, *, host: str, port: int, auth: Credentials | None) -> Guard:
    """The whole application behind its guard.

    Args:
        services: what the routes work with.
        host: the address it will listen on; decides which `Host` headers are ours.
        port: the port it will listen on.
        auth: user and password asked for on every route, Gradio's included; None: nobody is asked.

    Raises:
        BindingRefused: `host` reaches beyond this machine and `auth` is None.
    """
    check_binding(host, auth)
    app = build_api(services)
    _mount_page(app, services, host, port)
    return Guard(app, OwnNames(host, port), auth)


def build_api(services: Services) -> FastAPI:
    """The JSON routes and our scripts, without the page and without the guard."""
    app = FastAPI(title="Groundwork", docs_url=None, redoc_url=None, openapi_url=None)
    app.state.services = services
    # With a policy of the parent's, Gradio adds none of its own (which reflects foreign origins).
    app.add_middleware(CORSMiddleware, allow_origins=[])
    errors.install(app)
    for part in (examples, datasets, images, detection, transfer, teaching, evaluation, models, status):
        app.include_router(part.router)
    app.include_router(web.router())
    return app


def serve(
    services: Services, *, host: str, port: int, auth: Credentials | None = None, open_browser: bool = True
) -> None:
    """Serve until interrupted; prints the address and nothing else.

    Raises:
        BindingRefused: `host` reaches beyond this machine and `auth` is None.
        PortTaken: something else listens there, or the address is not this machine's.
    """
    check_binding(host, auth)
    with listening_socket(host, port) as listener:
        port = listener.getsockname()[1]
        app = build_app(services, host=host, port=port, auth=auth)
        url = f"http://{_shown(host)}:{port}"
        config = uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            server_header=False,
            timeout_graceful_shutdown=_SHUTDOWN_S,
            ws="none",
        )
        print(url, flush=True)
        if open_browser:
            threading.Timer(0.5, webbrowser.open, [url]).start()
        _run(uvicorn.Server(config), listener)


def _run(server: uvicorn.Server, listener: socket.socket) -> None:
    """Serve until Ctrl+C or SIGTERM, and come back after either, so that the services are closed in order."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)  # the server ends first, then raises the signal once more
    try:
        server.run(sockets=[listener])
    except KeyboardInterrupt:
        pass
    finally:
        signal.signal(signal.SIGTERM, before)


def listening_socket(host: str, port: int) -> socket.socket:
    """A socket bound to `host` and `port` (0: any free one).

    Raises:
        PortTaken: it can't be.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        if sys.platform != "win32":  # there it would let two servers share the port
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except (OSError, OverflowError) as error:
        listener.close()
        raise PortTaken(_why(host, port, error)) from error
    return listener


def _why(host: str, port: int, error: Exception) -> str:
    code = getattr(error, "errno", None)
    if code == errno.EADDRINUSE:
        return f"Port {port} is in use (is Groundwork running already?): close that program, or add --port {port + 1}."
    if code == errno.EACCES:
        return f"Port {port} needs more rights than you have: choose one above 1023, as in --port 7860."
    if isinstance(error, OverflowError):
        return f"Port {port} does not exist: choose one from 1024 to 65535, as in --port 7860."
    return f"Can't listen on {host!r} ({error.args[-1]}): use --host 127.0.0.1."


def _mount_page(app: FastAPI, services: Services, host: str, port: int) -> None:
    """Gradio's page at /, with everything off that we do not use (docs/decisions/0009 says why one by one)."""
    _prepare_gradio(services.workspace.cache / "gradio")
    import gradio as gr

    from app.page import HEAD, build_page
    from app.theme import theme

    gr.mount_gradio_app(
        app,
        build_page(),
        path="/",
        server_name=host,
        server_port=port,
        theme=theme(),
        head=HEAD,
        footer_links=[],
        run_history=False,
        show_error=False,
        enable_monitoring=False,
        mcp_server=False,
        ssr_mode=False,
        pwa=False,
        max_file_size=LARGEST_UPLOAD,
        allowed_paths=[],
        blocked_paths=[str(services.workspace.root), str(Path.home())],
        app_kwargs={"docs_url": None, "redoc_url": None, "openapi_url": None},
    )


def _prepare_gradio(temporary: Path) -> None:
    """The environment Gradio reads when it is imported: no telemetry, no sharing, files in a folder of our own."""
    temporary.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]  # some of them open doors
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_TEMP_DIR"] = str(temporary)


def _shown(host: str) -> str:
    """The address a person opens: 'every address' is no address to open."""
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104
    return f"[{shown}]" if ":" in shown else shown
