from pathlib import Path
from uuid import uuid4
from zipfile import ZipFile

import pytest

from app.services import Services
from app.services.exporting import export_dataset, zip_export
from app.services.jobs import Job, Stopped


def test_a_stopped_export_leaves_nothing_behind(services: Services, dataset_id: int, tmp_path: Path) -> None:
    job = Job(uuid4())
    job.stop()
    with pytest.raises(Stopped):
        export_dataset(services.store, "photos", tmp_path / "out" / "photos", progress=job.progress_or_end)
    assert list((tmp_path / "out").iterdir()) == []


def test_each_export_gets_a_zip_of_its_own_also_where_names_have_dots(tmp_path: Path) -> None:
    zips = []
    for name in ("cells.v2-1", "cells.v3-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "annotations.json").write_text(name)
        zips.append(zip_export(tmp_path / name))
    assert [path.name for path in zips] == ["cells.v2-1.zip", "cells.v3-1.zip"]
    assert [ZipFile(path).read("annotations.json") for path in zips] == [b"cells.v2-1", b"cells.v3-1"]
