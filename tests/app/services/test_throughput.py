import pytest

from app.services.throughput import measure
from tests.training.worlds.font import needs_font


@pytest.mark.slow
@needs_font
def test_labelling_is_measured_from_the_files_to_the_last_commit() -> None:
    found = measure(images=6)
    assert found["label.images_per_s"] > 0
    assert 0 < found["label.model_share"] <= 1
