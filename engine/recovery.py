"""A detector that goes on when its device fails: with fewer pictures at once, then on the processor."""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import supervision as sv
import torch

from engine.detector import BatchDetector, Caption
from engine.errors import EngineError
from engine.ontology import Ontology
from engine.preprocessing import AnyPicture, Preprocessing

Failure = Literal["memory", "lost"]
Given = TypeVar("Given")

_MEMORY = (
    *("out of memory", "can't allocate memory", "not enough memory"),
    *("could not create a primitive", "could not create a memory"),  # oneDNN's words for it
)
_LOST = ("cuda error", "cuda driver", "hip error", "no cuda gpus", "unspecified launch failure", "device-side assert")


class DeviceFailed(EngineError):
    """Not even the processor has the memory for one picture."""


class RecoveringDetector:
    """A `BatchDetector` around one that is loaded, and loaded again on the processor where its device is lost.

    Where the memory does not suffice, the pictures are halved until it does, and so many are asked for from then on;
    where one alone is too much, the detector keeps nothing and takes one prompt a pass, and at last moves to the
    processor. Every answer is complete; `notes` says what happened.

    Attributes:
        inner: the detector at work.
        notes: a line for each step down, in order.
    """

    def __init__(self, load: Callable[[str], BatchDetector], device: str = "auto") -> None:
        """Args:
        load: gives the detector on a device ("auto", "cpu", ...).
        device: where it begins.
        """
        self._load = load
        self.inner = load(device)
        self.notes: list[str] = []
        self._most: int | None = None  # pictures at once that memory was found to suffice for
        self._is_sparing = False

    @property
    def name(self) -> str:
        """What people call it."""
        return self.inner.name

    @property
    def device(self) -> str:
        """Where it runs now."""
        return self.inner.device

    @property
    def resizing(self) -> Preprocessing | None:
        """How pictures may be resized ahead of it."""
        return self.inner.resizing

    @property
    def batch_size(self) -> int:
        """Pictures that it looks at together, as far as memory was found to suffice."""
        return min(self.inner.batch_size, self._most or self.inner.batch_size)

    def look(self, images: Sequence[AnyPicture]) -> None:
        """As `BatchDetector.look`; where memory does not suffice, nothing is made."""
        try:
            self.inner.look(images)
        except Exception as error:
            if failure_of(error) is None:
                raise

    def spare_memory(self) -> None:
        """Keep nothing, and take as little as it can from now on."""
        self.inner.spare_memory()

    def detect(
        self,
        images: Sequence[AnyPicture],
        ontology: Ontology,
        *,
        threshold: float = 0.3,
        top_k: int = 300,
        second_pass: bool = False,
    ) -> list[sv.Detections]:
        """As `Detector.detect`."""
        return self._answers(
            images,
            lambda part: self.inner.detect(part, ontology, threshold=threshold, top_k=top_k, second_pass=second_pass),
        )

    def ground(
        self,
        images: Sequence[AnyPicture],
        captions: Sequence[str | Caption],
        *,
        threshold: float = 0.3,
        top_k: int = 300,
    ) -> list[sv.Detections]:
        """As `Detector.ground`."""
        return self._answers(
            _pairs(images, captions),
            lambda part: self.inner.ground(*_apart(part), threshold=threshold, top_k=top_k),
        )

    def refer(
        self, images: Sequence[AnyPicture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        """As `Detector.refer`."""
        return self._answers(
            _pairs(images, expressions),
            lambda part: self.inner.refer(*_apart(part), threshold=threshold, top_k=top_k),
        )

    def _answers(
        self, given: Sequence[Given], ask: Callable[[Sequence[Given]], list[sv.Detections]]
    ) -> list[sv.Detections]:
        """What is answered to all, asked in parts where they are too much at once.

        Raises:
            DeviceFailed: one picture is too much for the processor's memory.
        """
        if self._most is not None and len(given) > self._most:
            parts = [given[start : start + self._most] for start in range(0, len(given), self._most)]
            return [answer for part in parts for answer in self._answers(part, ask)]
        try:
            return ask(given)
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
        # Outside of the handler: what the failed pass still held is let go of by now.
        self._step_down(failure, len(given))
        return self._answers(given, ask)

    def _step_down(self, failure: Failure, count: int) -> None:
        if failure == "lost":
            self._move("The device of the detector does not answer any more: it goes on on the processor, slower.")
        elif count > 1:
            self._most = count // 2
            self.notes.append(f"Memory does not suffice for {count} images at once: {self._most} from now on.")
        elif not self._is_sparing:
            self._is_sparing = True
            self.inner.spare_memory()
            self.notes.append("Memory is short: nothing is kept for the next prompt from now on.")
        else:
            self._move("The device has not the memory for one image: the detector goes on on the processor, slower.")

    def _move(self, note: str) -> None:
        if self.inner.device == "cpu":
            raise DeviceFailed(
                "Memory does not suffice for one image. Close other programs, or use a smaller detector."
            )
        del self.inner  # two may not fit
        self.inner = self._load("cpu")
        self._most, self._is_sparing = None, False
        self.notes.append(note)


def failure_of(error: BaseException) -> Failure | None:
    """What an error says of the device: no memory left, or the device lost; None: it is another error."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return "memory"
    if isinstance(error, torch.AcceleratorError):
        return "memory" if _says(error, _MEMORY) else "lost"
    if type(error) is RuntimeError:
        return "memory" if _says(error, _MEMORY) else "lost" if _says(error, _LOST) else None
    return None


def _says(error: BaseException, words: Sequence[str]) -> bool:
    said = str(error).lower()
    return any(word in said for word in words)


def _pairs(images: Sequence[AnyPicture], texts: Sequence[Given]) -> list[tuple[AnyPicture, Given]]:
    if len(images) != len(texts):
        raise EngineError(f"{len(images)} pictures came with {len(texts)} texts. Give one a picture.")
    return list(zip(images, texts, strict=True))


def _apart(pairs: Sequence[tuple[AnyPicture, Given]]) -> tuple[list[AnyPicture], list[Given]]:
    return [image for image, _ in pairs], [text for _, text in pairs]
