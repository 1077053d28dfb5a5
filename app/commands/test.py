"""launch.py test: everything that has to hold before a change lands."""

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

from app.commands.terminal import say
from app.failures import Refused

ROOT = Path(__file__).resolve().parent.parent.parent
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
MOST_PROCESSES = 4  # of pytest: each holds PyTorch, models and a browser


def run(arguments: argparse.Namespace) -> int:
    """ruff, mypy, node --test and pytest; with further arguments pytest alone, as it is worked with."""
    pytest = [sys.executable, "-m", "pytest"]
    browser = find_browser()
    if arguments.pytest:
        return _run([*pytest, *arguments.pytest], browser)
    failed = [name for name, command in checks() if _run(command, browser)]
    # Modules side by side; a thread for each, as several would wait for each other's cores.
    processes = min(os.cpu_count() or 1, MOST_PROCESSES)
    status = _run([*pytest, f"--numprocesses={processes}", "--dist=loadfile"], browser, OMP_NUM_THREADS="1")
    if failed:
        say(f"Failed before pytest: {', '.join(failed)}.")
    return 1 if failed else status


def checks() -> list[tuple[str, list[str]]]:
    """The checks that run beside pytest, each with its command."""
    node = shutil.which("node")
    if node is None:
        raise Refused("The canvas is tested by Node.js 20 or newer, which is not here: install the package nodejs.")
    modules = sorted(str(path) for path in (ROOT / "tests" / "web").glob("*.test.mjs"))
    return [
        ("ruff", [sys.executable, "-m", "ruff", "check", "."]),
        ("ruff format", [sys.executable, "-m", "ruff", "format", "--check", "."]),
        ("mypy", [sys.executable, "-m", "mypy"]),
        ("node --test", [node, "--test", *modules]),
    ]


def find_browser() -> str:
    """The browser of the tests; Debian's is installed when it is absent and this user may.

    Raises:
        Refused: there is none and none can be installed.
    """
    found = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if found:
        return found
    if shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0:
        say("Installing Debian's Chromium for the browser tests.")
        subprocess.run(["apt-get", "update", "-qq"], stdout=sys.stderr, check=False)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium"]
        environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run(command, stdout=sys.stderr, env=environment, check=False)
        found = shutil.which("chromium")
    if not found:
        raise Refused("The browser tests need Chromium, which is not here: install it (apt install chromium).")
    return found


def _run(command: list[str], browser: str, **settings: str) -> int:
    say(f"$ {' '.join(command[:6])}")
    environment = {**os.environ, "GROUNDWORK_BROWSER": browser, "GROUNDWORK_NO_VENV": "1", **settings}
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
