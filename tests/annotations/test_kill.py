"""An edit that was acknowledged survives the process that took it."""

import random
import subprocess
import sys
import time
from pathlib import Path
from uuid import UUID

import pytest
from sqlalchemy import select

from annotations.database import Store
from annotations.models import Annotation, EditLog
from tests.annotations.makers import make_scene

ROOT = Path(__file__).parents[2]

EDITOR = """
import sys
from uuid import UUID, uuid4
from annotations.database import Store
from annotations.edits import Edit, apply_edit

path, image_id, category_id, first = sys.argv[1], *map(int, sys.argv[2:])
with Store.open(path) as store:
    for n in range(first, first + 100_000):
        item = {"id": UUID(int=n), "category_id": category_id, "xyxy": (1, 1, 50, 50)}
        with store.writing() as session:
            result = apply_edit(session, Edit(uuid4(), "create", image_id, "ada", (item,)))
        print(n, result.op_id, flush=True)  # the acknowledgement
"""


@pytest.mark.slow
def test_every_acknowledged_edit_survives_kill_9_of_several_writers(tmp_path: Path) -> None:
    path = tmp_path / "groundwork.db"
    with Store.open(path) as store:
        scene = make_scene(store)
    seed = time.time_ns()
    chance = random.Random(seed)
    acknowledged: dict[UUID, UUID] = {}
    for turn in range(4):
        editors = []
        for n in range(2):
            first = 1 + 1_000_000 * (2 * turn + n)
            command = [sys.executable, "-c", EDITOR, str(path), str(scene.image_id), str(scene.cat), str(first)]
            editors.append(subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        lines = []
        for editor in editors:
            assert editor.stdout is not None
            lines.append(editor.stdout.readline())  # it has begun
        time.sleep(chance.uniform(0, 0.3))
        for editor, line in zip(editors, lines, strict=True):
            editor.kill()
            rest, _ = editor.communicate()
            for whole in (line + rest).splitlines(keepends=True):
                if whole.endswith("\n"):
                    number, op_id = whole.split()
                    acknowledged[UUID(int=int(number))] = UUID(op_id)
        with Store.open(path) as store:
            assert store.check() == [], f"seed {seed}"
            with store.reading() as session:
                logged = set(session.scalars(select(EditLog.op_id)))
                drawn = set(session.scalars(select(Annotation.id)))
        assert set(acknowledged.values()) <= logged, f"seed {seed}"
        assert set(acknowledged) <= drawn, f"seed {seed}"
        assert len(drawn) == len(logged), f"seed {seed}"  # never half of an edit
    assert len(acknowledged) >= 8
