import time
from collections.abc import Callable
from pathlib import Path

import pytest

from app.services import Services, opened, prefetching
from app.services.labelling import SHORT, WHOLE
from app.services.questions import question
from app.services.turns import Urgency
from engine.grounding import GroundingDetector
from engine.kept import Kept
from engine.network.network import Image
from tests.app.services.test_labelling import image_ids

pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def _no_look_takes_long(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy the machine is."""
    monkeypatch.setattr(prefetching, "_LONGEST_S", 600.0)


def until(is_so: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def features(services: Services) -> Kept[bytes, Image]:
    """What the detector keeps of images."""
    detector = services.models.detector().inner
    assert isinstance(detector, GroundingDetector)
    return detector._passes._pictures


def kept(services: Services) -> int:
    """Images of which the detector keeps features."""
    return len(features(services))


def test_the_next_images_are_looked_at_while_nobody_asks(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)
    assert len(ids) - 1 < SHORT
    services.models.detector()
    services.prefetcher.asks = True
    services.prefetcher.opened(ids[0])
    until(lambda: kept(services) == 2)
    job = services.labeller.start(dataset_id, question("detect", "cat."), ids[1:3], WHOLE)
    until(lambda: services.jobs.state(job).state == "done")
    assert kept(services) == 2  # what was made ahead was used


def test_the_segmenter_looks_at_the_next_image_once_somebody_has_clicked(
    tmp_path: Path, services: Services, dataset_id: int
) -> None:
    ids = image_ids(services, dataset_id)
    services.outliner.segment(ids[0], None, [(60, 45)], [1])
    services.prefetcher.opened(ids[0])
    until(lambda: services.outliner._looked_at == ids[2])
    (mask,) = services.outliner.segment(ids[0], None, [(60, 45)], [1])
    assert mask["size"] == [90, 120]


def test_no_more_is_made_ahead_once_two_looks_took_long(
    services: Services, dataset_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetching, "_LONGEST_S", 0.0)
    ids = image_ids(services, dataset_id)
    services.models.detector()
    services.prefetcher.asks = True
    services.prefetcher.opened(ids[0])
    until(lambda: kept(services) == 2)  # the first one warms up, the second one says that it is slow
    features(services).clear()
    services.prefetcher.opened(ids[1])
    until(lambda: services.prefetcher._open == ids[1] and services.prefetcher._thread is not None)
    services.prefetcher.close()  # which waits for the look at hand
    assert kept(services) == 0


def test_nothing_is_done_ahead_for_somebody_who_only_looks(services: Services, dataset_id: int) -> None:
    services.models.detector()
    services.prefetcher.opened(image_ids(services, dataset_id)[0])
    assert services.prefetcher._thread is None


def test_who_moves_on_is_followed_and_a_broken_image_stops_nothing(services: Services, dataset_id: int) -> None:
    ids = image_ids(services, dataset_id)
    services.models.detector()
    services.prefetcher.asks = True
    with services.models.device(Urgency.CLICK):
        services.prefetcher.opened(ids[0])
        until(lambda: services.models._device.is_wanted_by(Urgency.IDLE))
        services.prefetcher.opened(ids[2])  # after it comes the broken one alone
    until(lambda: services.prefetcher._open == ids[2] and not services.models._device.is_wanted_by(Urgency.IDLE))
    assert kept(services) == 0
    services.prefetcher.opened(ids[1])
    until(lambda: kept(services) == 1)


def test_services_close_while_a_look_waits(tmp_path: Path, tiny_detector: Path) -> None:
    with opened(tmp_path / "other", detector=str(tiny_detector)) as services:
        services.prefetcher.asks = True
        services.prefetcher.opened(1)  # there is no such image
    assert services.prefetcher._thread is not None
    assert not services.prefetcher._thread.is_alive()
