"""A detector over any network that scores boxes for phrases."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, fields, is_dataclass
from itertools import groupby
from typing import Any, Protocol

import supervision as sv
import torch
from torchvision.ops import batched_nms, box_convert

from engine import scores
from engine.captions import caption_of
from engine.detector import Caption, check_request
from engine.devices import autocast_dtype
from engine.doubles import DOUBLES_IOU
from engine.errors import PromptError, quoted
from engine.kept import Kept, key_of
from engine.ontology import Category, Ontology
from engine.preprocessing import AnyPicture, Picture, pixels_of
from engine.products import fast_products

TOP_K = 300
_QUESTIONS_KEPT = 8


@dataclass(frozen=True)
class Answer:
    """What a network says of P phrases on each of B pictures, at Q queries.

    Attributes:
        boxes: (B, Q, 4) cxcywh on a scale where the picture, without padding, goes from 0 to 1.
        scores: (B, Q, P) probabilities.
        masks: (B, Q, h, w) probabilities over the whole picture; None where the network draws none.
    """

    boxes: torch.Tensor
    scores: torch.Tensor
    masks: torch.Tensor | None = None


class PhraseNetwork(Protocol):
    """Looks at pictures once and then says for any phrases where they are; the caller holds a lock and no gradients.

    Attributes:
        device: where its weights are.
        max_tokens: that a phrase may take.
        pictures_together: of a forward pass on a GPU.
        nms_iou: of two boxes of one category that overlap more, the authors keep the better one; None: they keep both.
    """

    device: torch.device
    max_tokens: int
    pictures_together: int
    nms_iou: float | None

    def tokens(self, phrase: str) -> int:
        """How many tokens are read for a phrase that is asked alone."""

    def fits(self, phrases: Sequence[str]) -> bool:
        """Whether the phrases can be asked in one forward pass."""

    def see(self, images: Sequence[Picture]) -> Any:
        """What `answer` needs of pictures; a tensor, or tensors in containers."""

    def answer(self, seen: Any, phrases: Sequence[str]) -> Answer:
        """Boxes and scores for phrases that fit together."""


class PhraseDetector:
    """A `Detector` over a network that scores boxes for phrases.

    A category's score is its best phrase's. On a CPU each picture goes alone, so that its result does not depend on
    its neighbours; on a GPU pictures share passes and differ by rounding. Calls from several threads take turns.

    Attributes:
        network: in eval mode; its weights never change.
        name: what people call it.
    """

    def __init__(self, network: PhraseNetwork, *, name: str = "detector", keep_mb: int = 0) -> None:
        """Args:
        keep_mb: megabytes of features of the last pictures, on which another prompt is then answered sooner.
        """
        self.network = network
        self.name = name
        self._batch_size = 1 if network.device.type == "cpu" else network.pictures_together
        self._precision = autocast_dtype(network.device)
        self._seen: Kept[tuple[bytes, ...], Any] = Kept(keep_mb * 1_000_000)
        self._parts: Kept[_Question, list[range]] = Kept(_QUESTIONS_KEPT)
        self._lock = threading.Lock()

    @property
    def device(self) -> str:
        """Where it runs: "cpu", "cuda", "mps"."""
        return str(self.network.device)

    @property
    def resizing(self) -> None:
        """It wants its pictures whole."""
        return None

    @property
    def batch_size(self) -> int:
        """Pictures that it looks at together."""
        return self._batch_size

    def look(self, images: Sequence[AnyPicture]) -> None:
        """Keep the features of pictures, as far as there is room for them."""
        check_request(images, threshold=0)
        for start in range(0, len(images), self._batch_size):
            with self._computing():
                self._see(images[start : start + self._batch_size])

    def spare_memory(self) -> None:
        """Keep no features, and take one picture a pass from now on."""
        with self._lock:
            self._batch_size = 1
            self._seen.clear()
            self._seen.limit = 0
        if self.network.device.type == "cuda":
            torch.cuda.empty_cache()

    def detect(
        self,
        images: Sequence[AnyPicture],
        ontology: Ontology,
        *,
        threshold: float = 0.3,
        top_k: int = TOP_K,
        second_pass: bool = False,
    ) -> list[sv.Detections]:
        """The objects of each category on each picture, best first.

        Args:
            images: each (H, W, 3) uint8 RGB, upright, of any size.
            ontology: what to look for; `class_id` is an index into its categories.
            threshold: the lowest score kept, 0 to 1.
            top_k: at most so many boxes a picture.
            second_pass: without effect, as a name's score does not depend on the other names.

        Raises:
            PromptError: a category that the detector cannot read, by name.
        """
        check_request(images, threshold)
        return self._found(images, _Question.of(ontology), threshold, top_k)

    def ground(
        self,
        images: Sequence[AnyPicture],
        captions: Sequence[str | Caption],
        *,
        threshold: float = 0.3,
        top_k: int = TOP_K,
    ) -> list[sv.Detections]:
        """The boxes of each phrase of each picture's own caption, best first.

        The network reads each phrase by itself: what the sentence says around it ("the dog *behind* the car") is lost.

        Args:
            images: each (H, W, 3) uint8 RGB, upright, of any size.
            captions: one a picture; of a plain sentence `engine.captions` finds the phrases.
            threshold: the lowest score kept, 0 to 1.
            top_k: at most so many boxes a picture, over all its phrases.

        Raises:
            PromptError: a phrase longer than the detector reads, or a caption without one.
        """
        check_request(images, threshold, len(captions))
        asked = [caption if isinstance(caption, Caption) else caption_of(caption) for caption in captions]
        questions = [_Question(own.phrases, own.phrases, tuple(range(len(own.phrases)))) for own in asked]
        return self._each(images, questions, threshold, top_k)

    def refer(
        self, images: Sequence[AnyPicture], expressions: Sequence[str], *, threshold: float = 0.3, top_k: int = 1
    ) -> list[sv.Detections]:
        """The best box for each picture's own expression, or none below the threshold.

        Args:
            images: each (H, W, 3) uint8 RGB, upright, of any size.
            expressions: one a picture, such as "the red car on the left".
            threshold: the lowest score kept, 0 to 1.
            top_k: at most so many boxes a picture, best first.

        Raises:
            PromptError: an expression longer than the detector reads, or without a word.
        """
        check_request(images, threshold, len(expressions))
        questions = [_Question.of(Ontology((Category(expression),))) for expression in expressions]
        return self._each(images, questions, threshold, top_k)

    def _each(
        self, images: Sequence[AnyPicture], questions: Sequence["_Question"], threshold: float, top_k: int
    ) -> list[sv.Detections]:
        """Each picture with its own question; all questions are read before the first picture is looked at."""
        for question in questions:
            self._parts_of(question)
        pairs = zip(images, questions, strict=True)
        return [found for image, own in pairs for found in self._found([image], own, threshold, top_k)]

    def _found(
        self, images: Sequence[AnyPicture], question: "_Question", threshold: float, top_k: int
    ) -> list[sv.Detections]:
        """The `top_k` best of each picture."""
        parts = self._parts_of(question)
        results = []
        for start in range(0, len(images), self._batch_size):
            group = images[start : start + self._batch_size]
            for image, best in zip(group, self._best(group, question, parts, threshold, top_k), strict=True):
                results.append(scores.as_detections(best, image, question.names, question.phrases))
        return results

    def _best(
        self, group: Sequence[AnyPicture], question: "_Question", parts: Sequence[range], threshold: float, top_k: int
    ) -> list[scores.Candidates]:
        """The candidates of each picture of a group over all parts of a question."""
        best: list[list[scores.Candidates]] = [[] for _ in group]
        for part, answer in zip(parts, self._answers(group, question, parts), strict=True):
            most = max(top_k, answer.boxes.shape[1])  # more than are asked for, as doubles go after all parts are in
            for row, so_far in enumerate(best):
                found = _candidates(answer, row, question.owners[part.start : part.stop], part.start, threshold, most)
                so_far[:] = [scores.merged([*so_far, found.cpu()], most)]
        apart = _in_several(question.owners, parts)
        return [self._without_doubles(found, apart).take(slice(top_k)) for (found,) in best]

    def _without_doubles(self, found: scores.Candidates, apart: Sequence[int]) -> scores.Candidates:
        """Less the boxes that the authors drop, and those that another phrase of the category has found better."""
        iou = self.network.nms_iou
        if iou is None and not apart:
            return found
        several = torch.isin(found.labels, torch.tensor(apart, dtype=torch.int64)) | (iou is not None)
        unlike = torch.arange(1, len(found.labels) + 1)  # a group of its own for each box that nothing replaces
        groups = torch.where(several, found.labels, -unlike)
        boxes = box_convert(found.boxes.float(), "cxcywh", "xyxy")
        return found.take(batched_nms(boxes, found.scores, groups, DOUBLES_IOU if iou is None else iou))

    def _answers(self, group: Sequence[AnyPicture], question: "_Question", parts: Sequence[range]) -> Iterator[Answer]:
        """What the network says, a forward pass at a time."""
        with self._computing():
            seen = self._see(group)
        for part in parts:
            with self._computing():
                answer = self.network.answer(seen, question.phrases[part.start : part.stop])
            yield answer

    def _see(self, group: Sequence[AnyPicture]) -> Any:
        """What the network needs of pictures; what is kept is not made again."""
        pictures = [pixels_of(image) for image in group]
        key = tuple(key_of(picture) for picture in pictures)
        seen = self._seen.get(key)
        if seen is None:
            seen = self.network.see(pictures)
            self._seen.put(key, seen, _bytes_of(seen))
        return seen

    @contextmanager
    def _computing(self) -> Iterator[None]:
        """The network to itself."""
        autocast = nullcontext() if self._precision is None else torch.autocast(self.device, dtype=self._precision)
        with self._lock, torch.no_grad(), autocast, fast_products(self.network.device):
            yield

    def _parts_of(self, question: "_Question") -> list[range]:
        """Which phrases are asked together; a category's stay together where they fit.

        Raises:
            PromptError: one that is too long.
        """
        with self._lock:  # a tokenizer refuses two threads at once
            known = self._parts.get(question)
            if known is None:
                self._refuse_long(question)
                known = _parts(question, self.network.fits)
                self._parts.put(question, known, 1)
        return known

    def _refuse_long(self, question: "_Question") -> None:
        """Raise where the text encoder would drop the end of a phrase."""
        for phrase, owner in zip(question.phrases, question.owners, strict=True):
            tokens = self.network.tokens(phrase)
            if tokens > self.network.max_tokens:
                raise PromptError(
                    f"{quoted(phrase)} of category {quoted(question.names[owner])} takes {tokens} tokens; "
                    f"the detector reads {self.network.max_tokens}. Shorten it."
                )


@dataclass(frozen=True)
class _Question:
    """Phrases in the order of the labels they stand for.

    Attributes:
        names: of each label.
        phrases: what is asked.
        owners: the label of each phrase, ascending.
    """

    names: tuple[str, ...]
    phrases: tuple[str, ...]
    owners: tuple[int, ...]

    @classmethod
    def of(cls, ontology: Ontology) -> "_Question":
        """All phrases of all categories."""
        pairs = [(phrase, owner) for owner, own in enumerate(ontology.categories) for phrase in own.phrases]
        return cls(ontology.names, tuple(phrase for phrase, _ in pairs), tuple(owner for _, owner in pairs))


def _parts(question: _Question, fits: Callable[[Sequence[str]], bool]) -> list[range]:
    """Ranges of phrases that are asked together, as few as it takes."""
    parts: list[range] = []
    for piece in _pieces(question, fits):
        wider = range(parts[-1].start, piece.stop) if parts else piece
        if parts and fits(question.phrases[wider.start : wider.stop]):
            parts[-1] = wider
        else:
            parts.append(piece)
    return parts


def _pieces(question: _Question, fits: Callable[[Sequence[str]], bool]) -> Iterator[range]:
    """The phrases of each label, one by one where they do not fit together."""
    start = 0
    for _, own in groupby(question.owners):
        stop = start + len(list(own))
        if fits(question.phrases[start:stop]):
            yield range(start, stop)
        else:
            yield from (range(index, index + 1) for index in range(start, stop))
        start = stop


def _in_several(owners: Sequence[int], parts: Sequence[range]) -> list[int]:
    """The labels whose phrases were asked in more than one part."""
    seen = Counter(owner for part in parts for owner in set(owners[part.start : part.stop]))
    return [owner for owner, times in seen.items() if times > 1]


def _candidates(
    answer: Answer, row: int, owners: Sequence[int], first: int, threshold: float, most: int
) -> scores.Candidates:
    """The best pairs of query and label on one picture; phrases are counted from `first`."""
    boxes = answer.boxes[row].float()
    inside = box_convert(boxes, "cxcywh", "xyxy").clamp(0, 1)
    on = (inside[:, 2:] > inside[:, :2]).all(dim=1)  # a box on nothing but padding would take another's place
    phrases = answer.scores[row][on].float().nan_to_num(0)  # what overflowed in low precision is no find
    values, chosen, labels = scores.category_scores(phrases, owners)
    masks = None if answer.masks is None else answer.masks[row][on]
    return scores.candidates(boxes[on], values, labels, chosen + first, threshold=threshold, top_k=most, masks=masks)


def _bytes_of(value: Any) -> int:
    """Of all tensors in a value."""
    if isinstance(value, torch.Tensor):
        return value.numel() * value.element_size()
    if isinstance(value, Mapping):
        return sum(_bytes_of(item) for item in value.values())
    if is_dataclass(value):
        return sum(_bytes_of(getattr(value, field.name)) for field in fields(value))
    return sum(_bytes_of(item) for item in value) if isinstance(value, list | tuple) else 0
