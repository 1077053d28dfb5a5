"""What an export wrote, and what it left out and why."""

from dataclasses import dataclass, field
from pathlib import Path

from annotations.skipped import Skipped


@dataclass(frozen=True)
class ExportReport:
    """The counts of what is in the export, as read back from it."""

    images: int
    annotations: int
    categories: int
    skipped: list[Skipped] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)  # the label files, absolute
