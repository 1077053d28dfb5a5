"""What an import or export left out."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Skipped:
    """One thing that did not go through as it was; both texts are one line."""

    what: str
    reason: str
