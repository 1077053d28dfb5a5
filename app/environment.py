"""The virtual environment beside launch.py: made on first use, renewed when the requirements change.

Standard library only: this runs before anything is installed.
"""

import hashlib
import os
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".venv"


class SetupFailed(Exception):
    """The environment could not be made; the text is one line for a person."""


def enter(requirements: Path, argv: list[str]) -> None:
    """Come back only when this process runs in an environment that holds `requirements`.

    Otherwise the environment is made or brought up to date, and `argv` starts anew inside it.
    GROUNDWORK_NO_VENV=1 takes the current environment as it is (containers, managed machines).

    Raises:
        SetupFailed: no venv module, no network for pip, a full disk; nothing is set up and torchrun started this.
    """
    if os.environ.get("GROUNDWORK_NO_VENV") == "1":
        return
    inside = Path(sys.prefix).resolve() == FOLDER.resolve()
    if not _is_current(requirements):
        if "LOCAL_RANK" in os.environ:  # torchrun starts several at once, and they would write over each other
            raise SetupFailed(
                "The environment is not set up. Run `python3 launch.py models` once, then torchrun again."
            )
        _install(requirements)
    elif inside:
        return
    _restart(argv)


def fingerprint(requirements: Path) -> str:
    """A digest of the requirements and all files they include with `-r`."""
    digest = hashlib.sha256(f"{sys.version_info[:2]}".encode())
    for path in _with_included(requirements):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _with_included(requirements: Path) -> list[Path]:
    lines = requirements.read_text().splitlines()
    included = [requirements.parent / line.split()[1] for line in lines if line.startswith("-r ")]
    return [requirements, *(deeper for path in included for deeper in _with_included(path))]


def _stamp(requirements: Path) -> Path:
    return FOLDER / f".{requirements.stem}.sha256"


def _is_current(requirements: Path) -> bool:
    stamp = _stamp(requirements)
    return stamp.exists() and stamp.read_text() == fingerprint(requirements) and _python().exists()


def _python() -> Path:
    return FOLDER / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def _install(requirements: Path) -> None:
    print(f"Setting up {FOLDER} from {requirements.name}: a few minutes, once.", file=sys.stderr, flush=True)
    if not _python().exists():
        try:
            venv.create(FOLDER, with_pip=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise SetupFailed(f"No environment could be made in {FOLDER} ({error}): install Python's venv.") from error
    command = [str(_python()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if subprocess.run([*command, "-r", str(requirements)], stdout=sys.stderr, check=False).returncode:
        raise SetupFailed(
            f"pip could not install {requirements.name} (its reason stands above): "
            "check the network and the disk, then run the same command again."
        )
    _stamp(requirements).write_text(fingerprint(requirements))


def _restart(argv: list[str]) -> None:
    command = [str(_python()), *argv]
    if os.name == "nt":  # exec on Windows would detach from the terminal
        sys.exit(subprocess.run(command, check=False).returncode)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(command[0], command)  # noqa: S606 - our own interpreter, no shell
