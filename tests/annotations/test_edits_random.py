"""Random edits of two people against a plain dict: same shapes, and undo takes exactly the last step back."""

import functools
import shutil
import tempfile
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from annotations.database import Store
from annotations.edits import Edit, EditResult, apply_edit
from annotations.predictions import NewPrediction, save_predictions
from annotations.queries import image_shapes
from tests.annotations.makers import make_scene, number

Shapes = dict[str, tuple[Any, ...]]

PEOPLE = st.sampled_from(["ada", "bob"])
IDS = st.integers(1, 6).map(lambda n: str(number(n)))
BOXES = st.tuples(st.integers(0, 50), st.integers(0, 40), st.integers(1, 50), st.integers(1, 40)).map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@functools.cache
def _empty_database() -> Path:
    path = Path(tempfile.mkdtemp()) / "empty.db"
    Store.open(path).close()
    return path


class Editing(RuleBasedStateMachine):
    """The oracle keeps each person's steps as (key -> before, key -> after), and knows nothing of the database."""

    @initialize()
    def open(self) -> None:
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store.open(shutil.copy(_empty_database(), Path(self.folder.name) / "a.db"))
        self.scene = make_scene(self.store)
        with self.store.writing() as session:
            rows = [NewPrediction(self.scene.cat, (n, n, n + 20, n + 20), 0.5) for n in (0, 25, 50)]
            save_predictions(session, self.scene.image_id, rows, checkpoint="tiny", prompt="cat.")
        self.shapes: Shapes = {}
        with self.store.reading() as session:
            waiting = image_shapes(session, self.scene.image_id)["predictions"]
        self.predictions = {row["id"]: "pending" for row in waiting}
        self.boxes = {row["id"]: tuple(row["xyxy"]) for row in waiting}
        self.undoable: dict[str, list[tuple[dict[Any, Any], dict[Any, Any]]]] = {"ada": [], "bob": []}
        self.redoable: dict[str, list[tuple[dict[Any, Any], dict[Any, Any]]]] = {"ada": [], "bob": []}
        self.sent: list[tuple[Edit, EditResult]] = []
        self.stamp = 0

    def teardown(self) -> None:
        if hasattr(self, "store"):
            self.store.close()
            self.folder.cleanup()

    def send(self, kind: Any, who: str, *items: dict[str, Any]) -> EditResult:
        edit = Edit(uuid4(), kind, self.scene.image_id, who, items)
        with self.store.writing() as session:
            result = apply_edit(session, edit)
        self.sent.append((edit, result))
        return result

    def step(self, who: str, changes: dict[Any, Any]) -> None:
        """Make changes in the oracle: a key is an annotation's id or a prediction's number, None is 'not there'."""
        before = {key: self.look(key) for key in changes}
        for key, value in changes.items():
            self.put(key, value)
        self.undoable[who].append((before, changes))
        self.redoable[who].clear()

    def look(self, key: Any) -> Any:
        return self.predictions[key] if isinstance(key, int) else self.shapes.get(key)

    def put(self, key: Any, value: Any) -> None:
        if isinstance(key, int):
            self.predictions[key] = value
        elif value is None:
            self.shapes.pop(key, None)
        else:
            self.shapes[key] = value

    def next_stamp(self) -> int:
        self.stamp += 1  # stands for updated_at: no two versions of a row are the same
        return self.stamp

    @rule(who=PEOPLE, key=IDS, box=BOXES, is_dog=st.booleans())
    def create(self, who: str, key: str, box: Any, is_dog: bool) -> None:
        if key in self.shapes:
            return
        category = self.scene.dog if is_dog else self.scene.cat
        self.send("create", who, {"id": UUID(key), "category_id": category, "xyxy": box})
        self.step(who, {key: (category, box, self.next_stamp())})

    @rule(who=PEOPLE, keys=st.sets(IDS, min_size=1, max_size=3), box=BOXES)
    def move(self, who: str, keys: set[str], box: Any) -> None:
        result = self.send("update", who, *({"id": UUID(key), "xyxy": box} for key in sorted(keys)))
        there = {key for key in keys if key in self.shapes}
        assert result.skipped == len(keys) - len(there)
        gone: dict[Any, Any] = dict.fromkeys(keys - there)
        self.step(who, gone | {key: (self.shapes[key][0], box, self.next_stamp()) for key in there})

    @rule(who=PEOPLE, keys=st.sets(IDS, min_size=1, max_size=3))
    def delete(self, who: str, keys: set[str]) -> None:
        result = self.send("delete", who, *({"id": UUID(key)} for key in sorted(keys)))
        assert result.skipped == len([key for key in keys if key not in self.shapes])
        self.step(who, dict.fromkeys(keys))

    @rule(who=PEOPLE, key=IDS, place=st.integers(0, 2))
    def accept(self, who: str, key: str, place: int) -> None:
        prediction = sorted(self.predictions)[place]
        if key in self.shapes:
            return
        result = self.send("accept", who, {"prediction_id": prediction, "annotation_id": UUID(key)})
        if self.predictions[prediction] == "pending":
            row = (self.scene.cat, self.boxes[prediction], self.next_stamp())
            self.step(who, {prediction: "accepted", key: row})
        else:
            assert result.skipped == 1
            self.step(who, {prediction: self.predictions[prediction], key: None})

    @rule(who=PEOPLE, place=st.integers(0, 2))
    def reject(self, who: str, place: int) -> None:
        prediction = sorted(self.predictions)[place]
        self.send("reject", who, {"prediction_id": prediction})
        found = self.predictions[prediction]
        self.step(who, {prediction: "rejected" if found == "pending" else found})

    @rule(who=PEOPLE)
    def undo(self, who: str) -> None:
        if self.undoable[who]:
            self.walk("undo", who, self.undoable[who], self.redoable[who])

    @rule(who=PEOPLE)
    def redo(self, who: str) -> None:
        if self.redoable[who]:
            self.walk("redo", who, self.redoable[who], self.undoable[who])

    def walk(self, kind: str, who: str, source: list[Any], target: list[Any]) -> None:
        wanted, present = source.pop()
        free = {key for key in wanted if self.look(key) == present[key]}
        before = {key: self.look(key) for key in wanted}
        for key in free:
            self.put(key, wanted[key])
        target.append((before, {key: self.look(key) for key in wanted}))
        assert self.send(kind, who).skipped == len(wanted) - len(free)

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data())
    def deliver_again(self, data: st.DataObject) -> None:
        edit, first = data.draw(st.sampled_from(self.sent))
        with self.store.writing() as session:
            again = apply_edit(session, edit)
        assert again.already_applied
        assert (again.seq, again.revision, again.skipped) == (first.seq, first.revision, first.skipped)

    @rule()
    def restart(self) -> None:
        self.store.close()
        self.store = Store.open(Path(self.folder.name) / "a.db")

    @invariant()
    def database_and_oracle_agree(self) -> None:
        if not hasattr(self, "shapes"):
            return
        with self.store.reading() as session:
            found = image_shapes(session, self.scene.image_id)
        rows = {row["id"]: (row["category_id"], tuple(row["xyxy"])) for row in found["annotations"]}
        assert rows == {key: value[:2] for key, value in self.shapes.items()}
        assert {row["id"] for row in found["predictions"]} == {k for k, v in self.predictions.items() if v == "pending"}
        assert found["image"]["revision"] == len(self.sent)
        assert found["can_undo"] is any(self.undoable.values())
        assert found["can_redo"] is any(self.redoable.values())


Editing.TestCase.settings = settings(max_examples=15, stateful_step_count=25, suppress_health_check=list(HealthCheck))
TestEditing = Editing.TestCase
