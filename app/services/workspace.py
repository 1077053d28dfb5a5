"""The one folder in which everything of a user lives."""

import os
from dataclasses import dataclass
from pathlib import Path

from app.failures import Refused


@dataclass(frozen=True)
class Workspace:
    """Where the database, the checkpoints and all that is written for the user stand."""

    root: Path

    @classmethod
    def open(cls, root: Path | None = None) -> "Workspace":
        """The workspace at `root`, else at $GROUNDWORK_WORKSPACE, else ~/.groundwork; its folders are made.

        The folders are readable by their owner alone: they hold other people's pictures.

        Raises:
            Refused: a folder can't be made there.
        """
        chosen = root or Path(os.environ.get("GROUNDWORK_WORKSPACE") or Path.home() / ".groundwork")
        workspace = cls(chosen.expanduser().resolve())
        for folder in (
            workspace.root,
            workspace.checkpoints,
            workspace.exports,
            workspace.cache,
            workspace.logs,
            workspace.runs,
            workspace.uploads,
        ):
            try:
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError as error:
                reason = "there is a file of that name" if isinstance(error, FileExistsError) else error.strerror
                raise Refused(f"No workspace at {str(folder)!r} ({reason}): name another folder.") from error
        return workspace

    @property
    def database(self) -> Path:
        """The SQLite file used unless another database is named."""
        return self.root / "groundwork.db"

    @property
    def checkpoints(self) -> Path:
        """Trained detectors, a folder each."""
        return self.root / "checkpoints"

    @property
    def exports(self) -> Path:
        """Exports made from the page."""
        return self.root / "exports"

    @property
    def cache(self) -> Path:
        """What can be deleted at any time: thumbnails, Gradio's temporary files."""
        return self.root / "cache"

    @property
    def logs(self) -> Path:
        """Logs of the page and of jobs."""
        return self.root / "logs"

    @property
    def runs(self) -> Path:
        """Training runs: a folder each with its configuration, progress and resumable state."""
        return self.root / "runs"

    @property
    def uploads(self) -> Path:
        """Images that came through the browser, a folder for each dataset."""
        return self.root / "uploads"
