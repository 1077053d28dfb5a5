"""A run's curves as TensorBoard reads them."""

import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

_FOLDER = "tensorboard"
_NO_CURVE = ("step", "steps", "best_step", "event", "eta_seconds", "seconds")


class Curves:
    """Writes lines of the progress file as event files into runs/<id>/tensorboard.

    The progress file is what counts: when a run goes on, the events are written anew from it, so that no step stands
    there twice.
    """

    def __init__(self, run_folder: Path) -> None:
        self._folder = run_folder / _FOLDER
        self._writer: Any = None

    def begin(self, lines: Iterable[Mapping[str, Any]] = ()) -> None:
        """Start with these lines and forget what the folder holds."""
        self.close()
        self._folder.mkdir(parents=True, exist_ok=True)
        for path in self._folder.glob("events.out.tfevents.*"):
            path.unlink()
        earlier = list(lines)
        start = time.time() - max((line.get("seconds", 0.0) for line in earlier), default=0.0)
        for line in earlier:
            self._write(line, start + line.get("seconds", 0.0))
        self._flush()

    def add(self, line: Mapping[str, Any]) -> None:
        """Add what is a number in a line; it is on the disk when this returns."""
        self._write(line, time.time())
        self._flush()

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def _write(self, line: Mapping[str, Any], wall_time_s: float) -> None:
        values = _curves_of(line)
        if not values:
            return
        # The library's own writer keeps a queue and a thread, and what is in them is lost when a run is killed.
        from tensorboardX.event_file_writer import EventsWriter  # a second to import
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        if self._writer is None:
            self._writer = EventsWriter(str(self._folder / "events"))
        summary = Summary(value=[Summary.Value(tag=tag, simple_value=value) for tag, value in values.items()])
        self._writer.write_event(Event(wall_time=wall_time_s, step=int(line["step"]), summary=summary))

    def _flush(self) -> None:
        if self._writer is not None:
            self._writer.flush()


def _curves_of(line: Mapping[str, Any]) -> dict[str, float]:
    """The numbers of a line by the name of their curve."""
    if line.get("event") == "evaluation":
        return {f"evaluation/{name}": float(value) for name, value in line.items() if _is_measure(name, value)}
    if "loss" not in line:
        return {}
    terms = {f"losses/{name}": float(value) for name, value in line["losses"].items()}
    return {"loss": float(line["loss"]), "learning_rate": float(line["learning_rate"]), **terms}


def _is_measure(name: str, value: object) -> bool:
    return name not in _NO_CURVE and isinstance(value, int | float) and not isinstance(value, bool)
