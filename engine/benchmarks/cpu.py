"""The engine beside transformers on a processor: latency, another prompt, a long vocabulary, and equality."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

from engine.benchmarks.beside import in_turns, timed
from engine.benchmarks.floor import floor_seconds
from engine.benchmarks.full_size import full_size_model, names
from engine.checkpoints import STARTER, load_grounding_detector
from engine.grounding import GroundingDetector
from engine.network.switches import Switches
from engine.ontology import Ontology
from engine.passes import Passes
from engine.preprocessing import Picture, Preprocessing
from engine.prompts import Prompt, pack

_CATEGORIES = ("cat", "remote control", "red car")
_OTHERS = ("dog", "umbrella", "blue bird")
_HW = (800, 1066)
_VOCABULARY = 1203  # as many as LVIS has
_NAIVE_CHUNK = 40  # names of a prompt, as published evaluations on LVIS ask
_NAIVE_TRIED = 3  # chunks that are run; the others cost the same
_KEEP_MB = 512
_THRESHOLD = 0.3

Say = Callable[[str], None]


@dataclass(frozen=True)
class Subject:
    """What is measured: one set of weights, run by transformers and by the engine.

    Attributes:
        model: transformers' own.
        detector: the engine's, which keeps nothing between two calls.
        keeping: the same, which keeps features.
        image: (H, W, 3) uint8 RGB.
        repeats: of each time.
        vocabulary: how many names the long one has.
    """

    model: Any
    detector: GroundingDetector
    keeping: GroundingDetector
    image: Picture
    repeats: int = 3
    vocabulary: int = _VOCABULARY


def full_size_subject(repeats: int = 3) -> Subject:
    """The published size, with random weights, on one picture of 800 x 1066 noise."""
    return subject_of(full_size_model(), Preprocessing(), _HW, repeats=repeats)


def subject_of(
    model: Any, preprocessing: Preprocessing, hw: tuple[int, int], *, repeats: int = 3, vocabulary: int = _VOCABULARY
) -> Subject:
    """A model as a subject; it reads the starter's words."""
    tokenizer = load_grounding_detector(STARTER, device="cpu").tokenizer
    image = np.random.default_rng(0).integers(0, 256, (*hw, 3), dtype=np.uint8)
    plain = GroundingDetector(model, tokenizer, preprocessing)
    keeping = GroundingDetector(model, tokenizer, preprocessing, keep_mb=_KEEP_MB)
    return Subject(model, plain, keeping, image, repeats, vocabulary)


def measure(subject: Subject, say: Say) -> dict[str, float]:
    """The rows "latency_ratio" and so on of `bench engine`, without their "cpu."."""
    found = _differences(subject)
    say(f"outputs compared: largest difference {found['max_diff']:.1e}")
    found |= _latency(subject)
    say(f"latency: {found['seconds']:.2f} s an image, transformers {found['transformers_seconds']:.2f} s")
    found |= _another_prompt(subject)
    say(f"another prompt: {found['reprompt_seconds']:.2f} s")
    found |= _switches(subject)
    found |= _vocabulary(subject)
    say(f"{subject.vocabulary} names: {found['vocabulary_seconds']:.1f} s")
    return found


def _latency(subject: Subject) -> dict[str, float]:
    ontology = Ontology.from_names(_CATEGORIES)
    theirs = _theirs(subject, _CATEGORIES)

    def ours() -> object:
        return subject.detector.detect([subject.image], ontology, threshold=_THRESHOLD)

    floor = floor_seconds(ours)  # also warms up
    transformers, engine = in_turns([theirs, ours], subject.repeats)
    return {
        "latency_ratio": transformers / engine,
        "over_floor": engine / floor,
        "seconds": engine,
        "transformers_seconds": transformers,
        "floor_seconds": floor,
    }


def _another_prompt(subject: Subject) -> dict[str, float]:
    """The second prompt on an image: each time one that the detector has not read yet."""
    fresh = iter(names(subject.keeping.tokenizer, len(_CATEGORIES) * (subject.repeats + 1), seed=1))

    def ours() -> object:
        ontology = Ontology.from_names([next(fresh) for _ in _CATEGORIES])
        return subject.keeping.detect([subject.image], ontology, threshold=_THRESHOLD)

    ours()
    transformers, engine = in_turns([_theirs(subject, _OTHERS), ours], subject.repeats)
    return {"reprompt_ratio": transformers / engine, "reprompt_seconds": engine}


def _switches(subject: Subject) -> dict[str, float]:
    """How many times longer a picture takes with one of the ways turned off."""
    ways = {
        "all": Switches(),
        "fuse_through_text": Switches(fuse_through_text=False),
        "weighted_bags": Switches(weighted_bags=False),
    }
    (prompt,) = _prompts(subject, _CATEGORIES)
    passes = [_passes(subject, switches) for switches in ways.values()]
    seconds = in_turns([partial(_answer, of, subject, prompt) for of in passes], subject.repeats)
    return {f"gain_{name}": own / seconds[0] for name, own in zip(ways, seconds, strict=True) if name != "all"}


def _vocabulary(subject: Subject) -> dict[str, float]:
    everything = names(subject.detector.tokenizer, subject.vocabulary)
    ontology = Ontology.from_names(everything)
    chunks = [everything[start : start + _NAIVE_CHUNK] for start in range(0, len(everything), _NAIVE_CHUNK)]
    tried = [timed(_theirs(subject, chunk))[0] for chunk in chunks[:_NAIVE_TRIED]]
    transformers = sum(tried) / len(tried) * len(chunks)
    engine, _ = timed(lambda: subject.detector.detect([subject.image], ontology, threshold=_THRESHOLD))
    return {
        "vocabulary_ratio": transformers / engine,
        "vocabulary_seconds": engine,
        "vocabulary_prompts": len(_prompts(subject, everything)),
        "naive_prompts": len(chunks),
    }


def _differences(subject: Subject) -> dict[str, float]:
    """The largest difference of boxes (parts of the picture) and scores to transformers', alone and among others."""
    (prompt,) = _prompts(subject, _CATEGORIES)
    longer = _prompts(subject, [*_CATEGORIES, *_OTHERS])[0]
    scores, boxes = _by_transformers(subject, prompt)
    alone = _answer(_passes(subject, Switches()), subject, prompt)
    together = _passes(subject, Switches(), together=2)
    with torch.no_grad():
        in_batch = next(iter(together.answers(together.see([subject.image]), [prompt, longer])))
    return {
        "max_diff": _difference((scores, boxes), alone),
        "batch_diff": _difference((scores, boxes), in_batch),
    }


def _difference(theirs: tuple[Tensor, Tensor], ours: tuple[Tensor, Tensor]) -> float:
    scores, boxes = ours[0].sigmoid(), ours[1]
    return max(float((scores - theirs[0]).abs().max()), float((boxes - theirs[1]).abs().max()))


@torch.no_grad()
def _by_transformers(subject: Subject, prompt: Prompt) -> tuple[Tensor, Tensor]:
    pixels, mask, _ = subject.detector.preprocessing.resize_batch([subject.image])
    ids = torch.tensor([prompt.input_ids])
    outputs = subject.model(pixel_values=pixels, pixel_mask=mask, input_ids=ids, attention_mask=torch.ones_like(ids))
    return outputs.logits[..., : ids.shape[1]].sigmoid(), outputs.pred_boxes


def _theirs(subject: Subject, categories: Sequence[str]) -> Callable[[], object]:
    """transformers' forward pass and post-processing; reading the picture is left out of its time."""
    sizes = subject.detector.preprocessing
    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessor(size={"shortest_edge": sizes.shortest_edge, "longest_edge": sizes.longest_edge}),
        subject.detector.tokenizer,
    )
    inputs = processor(images=[subject.image], text=" ".join(f"{name}." for name in categories), return_tensors="pt")

    @torch.no_grad()
    def run() -> object:
        outputs = subject.model(**inputs)
        return processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], _THRESHOLD, _THRESHOLD, [subject.image.shape[:2]]
        )

    return run


def _passes(subject: Subject, switches: Switches, together: int = 1) -> Passes:
    return Passes(
        subject.model,
        subject.detector.preprocessing,
        torch.device("cpu"),
        precision=None,
        together=together,
        switches=switches,
    )


@torch.no_grad()
def _answer(passes: Passes, subject: Subject, prompt: Prompt) -> tuple[Tensor, Tensor]:
    (answer,) = passes.answers(passes.see([subject.image]), [prompt])
    return answer


def _prompts(subject: Subject, categories: Sequence[str]) -> list[Prompt]:
    packs = pack(Ontology.from_names(categories), subject.detector.tokenizer)
    return [packed.prompt for packed in packs]
