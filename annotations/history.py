"""What can be undone and redone: read from the log itself, so that it survives a restart."""

from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations.models import EditLog


@dataclass
class History:
    """The edits of one person on one image, as two stacks of log numbers."""

    undoable: list[int] = field(default_factory=list)  # edits and redos, newest last
    redoable: list[int] = field(default_factory=list)  # undos, newest last

    def add(self, seq: int, kind: str) -> None:
        """Take the next log entry into account; a new edit makes what was undone before it unreachable."""
        if kind == "undo":
            self.undoable.pop()
            self.redoable.append(seq)
        elif kind == "redo":
            self.redoable.pop()
            self.undoable.append(seq)
        else:
            self.undoable.append(seq)
            self.redoable.clear()


def histories(session: Session, image_id: int, who: str | None = None) -> dict[str, History]:
    """The history of each person who edited the image, or of `who` alone."""
    query = select(EditLog.who, EditLog.seq, EditLog.kind).where(EditLog.image_id == image_id).order_by(EditLog.seq)
    if who is not None:
        query = query.where(EditLog.who == who)
    found: dict[str, History] = {}
    for person, seq, kind in session.execute(query):
        found.setdefault(person, History()).add(seq, kind)
    return found


def can_undo_redo(session: Session, image_id: int, who: str | None = None) -> tuple[bool, bool]:
    """Whether `who` (None: anyone) has something to undo, and something to redo."""
    found = histories(session, image_id, who).values()
    return any(history.undoable for history in found), any(history.redoable for history in found)
