from pathlib import Path

import pytest

from annotations.importers import import_path
from annotations.queries import dataset_by_name
from app.services import opened
from tests.app.services.test_labelling import image_ids

pytestmark = pytest.mark.slow


@pytest.mark.usefixtures("dataset_id")
def test_warming_up_after_a_click_leaves_the_clicked_image_in_view(tmp_path: Path) -> None:
    with opened(tmp_path / "other", segmenter="starter") as others:
        import_path(others.store, "photos", tmp_path / "photos")
        with others.store.reading() as session:
            photos = dataset_by_name(session, "photos").id
        first = image_ids(others, photos)[0]
        before = others.outliner.segment(first, None, [(60, 45)], [1])
        others.outliner.warm_up()
        assert others.outliner.segment(first, None, [(60, 45)], [1]) == before
