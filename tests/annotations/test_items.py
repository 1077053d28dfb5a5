"""What a page sends is checked field by field before anything is changed."""

from uuid import UUID

import pytest

from annotations.edits import Edit
from annotations.errors import EditRefused

GOOD_ID = "00000000-0000-0000-0000-000000000001"
GOOD_BOX = {"id": GOOD_ID, "category_id": 1, "xyxy": [1, 2, 30, 40]}


@pytest.mark.parametrize(
    "payload",
    [
        None,
        [],
        "create",
        {},
        {"op_id": "no", "kind": "create", "items": [GOOD_BOX]},
        {"op_id": 5, "kind": "create", "items": [GOOD_BOX]},
        {"kind": "create", "items": [GOOD_BOX]},
        {"op_id": GOOD_ID, "kind": "explode", "items": [GOOD_BOX]},
        {"op_id": GOOD_ID, "kind": ["create"], "items": [GOOD_BOX]},
        {"op_id": GOOD_ID, "kind": "create", "items": []},
        {"op_id": GOOD_ID, "kind": "create", "items": {"id": GOOD_ID}},
        {"op_id": GOOD_ID, "kind": "create", "items": [None]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "id": "x"}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [GOOD_BOX, GOOD_BOX]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "source": "model"}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{"id": GOOD_ID, "xyxy": [1, 2, 3, 4]}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "category_id": "1"}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "category_id": True}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "category_id": 2**70}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "xyxy": [1, 2, 3]}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "xyxy": "1234"}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "xyxy": [1, 2, float("nan"), 4]}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "xyxy": [1, 2, float("inf"), 4]}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "xyxy": [1, 2, 10**400, 4]}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "xyxy": [1, 2, None, 4]}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "mask": "abc"}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "mask": {"size": [80, 100]}}]},
        {"op_id": GOOD_ID, "kind": "create", "items": [{**GOOD_BOX, "mask": {"size": [80, 100], "counts": "zz"}}]},
        {
            "op_id": GOOD_ID,
            "kind": "create",
            "items": [{**GOOD_BOX, "mask": {"size": [80, 100], "counts": "\U0001f600"}}],
        },
        {"op_id": GOOD_ID, "kind": "update", "items": [{"id": GOOD_ID}]},
        {"op_id": GOOD_ID, "kind": "mark", "items": [{"done": 1}]},
        {"op_id": GOOD_ID, "kind": "mark", "items": [{"done": True}, {"done": False}]},
        {"op_id": GOOD_ID, "kind": "undo", "items": [{"done": True}]},
        {"op_id": GOOD_ID, "kind": "reject", "items": [{"prediction_id": -1}]},
    ],
)
def test_malformed_edits_are_refused_in_one_line(payload: object) -> None:
    with pytest.raises(EditRefused) as refusal:
        Edit.from_json(1, "ada", payload)
    assert str(refusal.value) and "\n" not in str(refusal.value) and len(str(refusal.value)) < 250


def test_a_well_formed_edit_is_read_from_json() -> None:
    edit = Edit.from_json(7, "ada", {"op_id": GOOD_ID, "kind": "create", "items": [GOOD_BOX]})
    assert edit == Edit(UUID(GOOD_ID), "create", 7, "ada", ({**GOOD_BOX, "id": UUID(GOOD_ID)},))
    assert Edit.from_json(7, "ada", {"op_id": GOOD_ID, "kind": "undo"}).items == ()
