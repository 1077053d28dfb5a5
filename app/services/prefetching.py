"""What the next images will need, made while nobody needs the device."""

import logging
import threading
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import select

from annotations import queries
from annotations.database import Store
from annotations.models import Image
from app.failures import explain
from app.services.models import Models
from app.services.outlining import Outliner
from app.services.turns import NoLongerWanted, Urgency
from common.images import ImageRefused, ImageRGB, read_indexed

_log = logging.getLogger(__name__)

AHEAD = 2
"""Images after the open one."""

_PAUSE_S = 0.3  # somebody who leafs through the images stays for less
_LONGEST_S = 1.0  # a look that takes longer would keep a click waiting
_TOO_LONG = 2  # such looks in a row, after which there are no more: the first one of a process warms libraries up


@dataclass(frozen=True)
class _Next:
    id: int
    path: Path
    width: int  # upright pixels, as imported
    height: int


class Prefetcher:
    """Looks at the images after the open one: with the detector once somebody has asked about single images, with the
    segmenter once somebody has clicked.

    One look at a time, only while nobody waits for the device, and none where a look takes long.

    Attributes:
        asks: whether images are asked about one by one; set by who knows.
    """

    def __init__(self, store: Store, models: Models, outliner: Outliner) -> None:
        self.asks = False
        self._store, self._models, self._outliner = store, models, outliner
        self._changed = threading.Condition()
        self._open: int | None = None  # the image that was opened last
        self._is_closed = False
        self._long_looks: Counter[object] = Counter()  # the last ones in a row, of the detector and of the segmenter
        self._thread: threading.Thread | None = None

    def opened(self, image_id: int) -> None:
        """Somebody sees this image now."""
        if not (self.asks or self._outliner.is_used):
            return
        with self._changed:
            self._open = image_id
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="prefetch", daemon=True)
                self._thread.start()
            self._changed.notify_all()

    def close(self) -> None:
        """End after the look at hand."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        done: int | None = None
        while (image_id := self._next_wish(done)) is not None:
            done = image_id
            try:
                for following in self._following(image_id):
                    self._prepare(following, image_id)
            except (NoLongerWanted, ImageRefused):
                continue
            except Exception as error:  # it comes again, and is told on the page, when somebody asks about that image
                _log.warning("Looking at the images after image %d failed: %s", image_id, explain(error))

    def _next_wish(self, done: int | None) -> int | None:
        """The open image, once it has been open for a moment; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._is_closed or self._open != done)
            while not self._is_closed:
                seen = self._open
                if not self._changed.wait_for(lambda: self._is_closed or self._open != seen, _PAUSE_S):  # noqa: B023
                    return seen
            return None

    def _following(self, image_id: int) -> list[_Next]:
        with self._store.reading() as session:
            here = queries.image_by_id(session, image_id)
            rows = session.execute(
                select(Image.id, Image.path, Image.width, Image.height)
                .where(Image.dataset_id == here.dataset_id, Image.position > here.position)
                .order_by(Image.position)
                .limit(AHEAD)
            )
            return [_Next(id, Path(path), width, height) for id, path, width, height in rows]

    def _prepare(self, image: _Next, open_id: int) -> None:
        def is_wanted() -> bool:
            return not self._is_closed and self._open == open_id

        pixels: ImageRGB | None = None
        detector = self._models.loaded()
        if self.asks and detector is not None and not self._is_slow(detector):
            pixels = read_indexed(image.path, image.width, image.height)
            resized = detector.resizing.ahead(pixels) if detector.resizing else pixels
            with self._models.device(Urgency.IDLE, is_wanted):
                began = time.monotonic()
                detector.look([resized])
                self._timed(detector, began)
        if self._outliner.is_used and not self._is_slow(self._outliner):
            pixels = read_indexed(image.path, image.width, image.height) if pixels is None else pixels
            with self._models.device(Urgency.IDLE, is_wanted):
                began = time.monotonic()
                self._outliner.look(image.id, pixels)
                self._timed(self._outliner, began)

    def _timed(self, what: object, began: float) -> None:
        is_long = time.monotonic() - began > _LONGEST_S
        self._long_looks[what] = self._long_looks[what] + 1 if is_long else 0

    def _is_slow(self, what: object) -> bool:
        return self._long_looks[what] >= _TOO_LONG
