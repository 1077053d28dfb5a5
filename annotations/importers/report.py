"""What an import did, and what it left out and why."""

from dataclasses import dataclass, field

from annotations.skipped import Skipped


@dataclass(frozen=True)
class Duplicate:
    """An image that was left out because another of the dataset has the same bytes."""

    file_name: str
    first: str  # file_name of the one that is kept


@dataclass(frozen=True)
class ImportReport:
    """The counts of what was added, and everything that was not."""

    images: int
    annotations: int
    categories: int
    skipped: list[Skipped] = field(default_factory=list)
    duplicates: list[Duplicate] = field(default_factory=list)
    clipped: list[Skipped] = field(default_factory=list)  # boxes that went in, cut at the edge of the image
    known: int = 0  # images that were in the dataset before, and were not added again
    captions: int = 0  # captions and expressions
