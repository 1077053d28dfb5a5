"""Large pictures, looked at in tiles: small things would vanish where a whole picture is shrunk."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import supervision as sv

from common.boxes import Boxes
from engine.detector import BatchDetector, Caption
from engine.doubles import without_doubles
from engine.errors import EngineError
from engine.ontology import Ontology
from engine.preprocessing import AnyPicture, Picture, Resized
from engine.seams import merge

OVERLAP = 0.25
"""Of a tile's side: what neighbours share. A thing up to that size is whole in one of them."""

USUAL_PX = 1024
"""Side of a tile for a detector that wants its pictures whole."""

SMALLEST_PX = 64
"""Side of a tile, at least."""

Progress = Callable[[int, int], None]
_Look = Callable[[Sequence[Picture]], list[sv.Detections]]


class TiledDetector:
    """A `Detector` that looks at the whole picture for large things and at overlapping tiles for small ones.

    What several looks see of one thing becomes one box, see `engine.seams`; second boxes around one thing are left out.
    A picture that is no larger than a tile is looked at once.

    Attributes:
        tile_px: side of a tile.
    """

    def __init__(
        self,
        detector: BatchDetector,
        tile_px: int | None = None,
        overlap: float = OVERLAP,
        progress: Progress | None = None,
        turn: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """Args:
        detector: what looks.
        tile_px: side of a tile, at least `SMALLEST_PX`; None: the longest side that the detector reads, or
            `USUAL_PX`. A square of that is shrunk a little and shows more of what is around things, which the starter
            likes better.
        overlap: the part of a tile's side that neighbours share, 0 to below 1.
        progress: told, of each picture, how many looks are done and how many it takes.
        turn: entered for each pass of the detector, so that others get in between.

        Raises:
            EngineError: tiles that are too small, or that never get on.
        """
        if tile_px is None:
            tile_px = detector.resizing.longest_edge if detector.resizing else USUAL_PX
        if tile_px < SMALLEST_PX or not 0 <= overlap < 1:
            raise EngineError(
                f"A picture can't be cut into tiles of {tile_px} px that share {overlap:g} of their side. "
                f"Give a side of at least {SMALLEST_PX} pixels, and an overlap below 1."
            )
        self._detector, self._progress, self._turn = detector, progress, turn
        self.tile_px, self._overlap_px = tile_px, min(round(overlap * tile_px), tile_px - 1)

    @property
    def name(self) -> str:
        """The detector's."""
        return self._detector.name

    @property
    def device(self) -> str:
        """The detector's."""
        return self._detector.device

    @property
    def resizing(self) -> None:
        """It wants its pictures whole."""
        return None

    @property
    def batch_size(self) -> int:
        """A picture is many looks."""
        return 1

    def look(self, images: Sequence[AnyPicture]) -> None:
        """Nothing: the tiles of a picture are too many to be kept."""

    def spare_memory(self) -> None:
        """The detector's."""
        self._detector.spare_memory()

    def detect(
        self,
        images: Sequence[AnyPicture],
        ontology: Ontology,
        *,
        threshold: float = 0.3,
        top_k: int = 300,
        second_pass: bool = False,
    ) -> list[sv.Detections]:
        """As `GroundingDetector.detect`; `top_k` is of a look: a large picture may have many times as many boxes.

        Raises:
            PromptError: a category that the detector cannot read.
        """

        def look(parts: Sequence[Picture]) -> list[sv.Detections]:
            return self._detector.detect(parts, ontology, threshold=threshold, top_k=top_k, second_pass=second_pass)

        return [self._merged(image, look) for image in images]

    def ground(
        self,
        images: Sequence[AnyPicture],
        captions: Sequence[str | Caption],
        *,
        threshold: float = 0.3,
        top_k: int = 300,
    ) -> list[sv.Detections]:
        """As `Detector.ground`, every tile with its picture's caption; `top_k` is of a look.

        Raises:
            PromptError: a caption that the detector cannot read.
        """

        def look(caption: str | Caption) -> _Look:
            return lambda parts: self._detector.ground(parts, [caption] * len(parts), threshold=threshold, top_k=top_k)

        return [self._merged(image, look(caption)) for image, caption in zip(images, captions, strict=True)]

    def refer(
        self, images: Sequence[AnyPicture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        """As `Detector.refer`, on whole pictures: which one is meant can't be told from a part.

        Raises:
            PromptError: an expression that the detector cannot read.
        """
        with self._turn():
            return self._detector.refer(images, expressions, threshold=threshold, top_k=top_k)

    def _merged(self, image: AnyPicture, look: _Look) -> sv.Detections:
        if isinstance(image, Resized):
            raise EngineError("A picture that was resized ahead can't be cut into tiles. Give it as it is.")
        height, width = image.shape[:2]
        parts = np.array([[0, 0, width, height]], np.float32)
        if max(height, width) > self.tile_px:
            parts = np.concatenate([parts, tiles(height, width, self.tile_px, self._overlap_px)])
        found: list[sv.Detections] = []
        size = self._detector.batch_size
        for start in range(0, len(parts), size):
            some = parts[start : start + size]
            with self._turn():
                seen = look([sv.crop_image(image, part) for part in some])
            found += [_moved(without_doubles(each), part) for each, part in zip(seen, some, strict=True)]
            if self._progress is not None:
                self._progress(len(found), len(parts))
        return merge(found, parts)


def tiles(height: int, width: int, tile_px: int, overlap_px: int) -> Boxes:
    """Squares (L, 4) that cover a picture, cut at its edges; neighbours share `overlap_px` or more."""

    def itself(tile: Any) -> sv.Detections:
        return sv.Detections(np.array([[0, 0, tile.shape[1], tile.shape[0]]], np.float32))

    slicer = sv.InferenceSlicer(itself, slice_wh=tile_px, overlap_wh=overlap_px, overlap_filter="none")
    nothing = np.broadcast_to(np.uint8(0), (height, width, 3))  # no memory
    result: Boxes = slicer(nothing).xyxy.astype(np.float32)
    return result


def _moved(found: sv.Detections, part: Boxes) -> sv.Detections:
    """The finds of a part, in pixels of the picture; without masks, which end at its edges."""
    found.mask = None
    found.xyxy = sv.move_boxes(found.xyxy, part[:2].astype(np.int64)).astype(np.float32)
    return found
