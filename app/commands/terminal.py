"""What a command prints: documents on standard output, everything else on standard error."""

import json
import sys
import time
from collections.abc import Mapping


def print_document(document: Mapping[str, object]) -> None:
    """The one JSON document of `--json`; NaN can't be in it."""
    json.dump(document, sys.stdout, indent=2, ensure_ascii=False, allow_nan=False, default=str)
    sys.stdout.write("\n")


def say(text: str) -> None:
    """A line for the person who waits."""
    print(text, file=sys.stderr, flush=True)


class ProgressBar:
    """One line on standard error that says how far and how long still; silent when that is no terminal."""

    def __init__(self, what: str, width: int = 24) -> None:
        self._what = what
        self._width = width
        self._started = time.monotonic()
        self._shown = sys.stderr.isatty()

    def __call__(self, done: int, total: int) -> None:
        """Show that `done` of `total` pieces are finished."""
        if not self._shown or not total:
            return
        filled = self._width * done // total
        left = (time.monotonic() - self._started) / done * (total - done) if done else 0.0
        bar = "█" * filled + "░" * (self._width - filled)
        end = "\n" if done >= total else ""
        sys.stderr.write(f"\r{self._what} {bar} {done}/{total}  {_duration(left)} left \x1b[K{end}")
        sys.stderr.flush()


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{rest} s"
