"""What is measured: one set of weights on one picture, run by transformers and by the engine."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor
from transformers import GroundingDinoImageProcessor, GroundingDinoProcessor

from engine.benchmarks.beside import in_turns
from engine.benchmarks.full_size import full_size_model
from engine.checkpoints import STARTER, load_grounding_detector
from engine.grounding import GroundingDetector
from engine.network.switches import Switches
from engine.ontology import Ontology
from engine.passes import Passes
from engine.preprocessing import Picture, Preprocessing
from engine.prompts import Prompt, pack

THRESHOLD = 0.3

_HW = (800, 1066)
_VOCABULARY = 1203  # as many as LVIS has
_KEEP_MB = 512


@dataclass(frozen=True)
class Subject:
    """One set of weights and one picture.

    Attributes:
        model: transformers' own, on `device`.
        device: where both run.
        detector: the engine's, which keeps nothing between two calls.
        keeping: the same, which keeps features.
        image: (H, W, 3) uint8 RGB.
        repeats: of each time.
        vocabulary: how many names the long one has.
    """

    model: Any
    device: torch.device
    detector: GroundingDetector
    keeping: GroundingDetector
    image: Picture
    repeats: int = 3
    vocabulary: int = _VOCABULARY


def full_size_subject(repeats: int = 3, device: str = "cpu") -> Subject:
    """The published size, with random weights, on one picture of 800 x 1066 noise."""
    return subject_of(full_size_model(), Preprocessing(), _HW, repeats=repeats, device=device)


def subject_of(
    model: Any,
    preprocessing: Preprocessing,
    hw: tuple[int, int],
    *,
    repeats: int = 3,
    vocabulary: int = _VOCABULARY,
    device: str = "cpu",
) -> Subject:
    """A model as a subject; it reads the starter's words."""
    tokenizer = load_grounding_detector(STARTER, device="cpu").tokenizer
    image = np.random.default_rng(0).integers(0, 256, (*hw, 3), dtype=np.uint8)
    plain = GroundingDetector(model, tokenizer, preprocessing, device=device)
    keeping = GroundingDetector(model, tokenizer, preprocessing, device=device, keep_mb=_KEEP_MB)
    return Subject(plain.model, torch.device(device), plain, keeping, image, repeats, vocabulary)


def difference(theirs: tuple[Tensor, Tensor], ours: tuple[Tensor, Tensor]) -> float:
    """The largest of scores and of boxes, in parts of the picture."""
    scores, boxes = ours[0].sigmoid(), ours[1]
    return max(float((scores - theirs[0]).abs().max()), float((boxes - theirs[1]).abs().max()))


@torch.no_grad()
def by_transformers(subject: Subject, prompt: Prompt) -> tuple[tuple[Tensor, Tensor], Tensor]:
    """Scores and boxes by transformers' own forward pass, on the CPU, and where its decoder began, (1, Q, 4)."""
    pixels, mask, _ = subject.detector.preprocessing.resize_batch([subject.image])
    ids = torch.tensor([prompt.input_ids], device=subject.device)
    outputs = subject.model(
        pixel_values=pixels.to(subject.device),
        pixel_mask=mask.to(subject.device),
        input_ids=ids,
        attention_mask=torch.ones_like(ids),
    )
    answer = outputs.logits[..., : ids.shape[1]].sigmoid().cpu(), outputs.pred_boxes.cpu()
    return answer, outputs.init_reference_points


def theirs(subject: Subject, categories: Sequence[str], precision: torch.dtype | None = None) -> Callable[[], object]:
    """transformers' forward pass, in autocast where asked for, and post-processing; its time leaves out the reading."""
    sizes = subject.detector.preprocessing
    processor = GroundingDinoProcessor(
        GroundingDinoImageProcessor(size={"shortest_edge": sizes.shortest_edge, "longest_edge": sizes.longest_edge}),
        subject.detector.tokenizer,
    )
    inputs = processor(images=[subject.image], text=" ".join(f"{name}." for name in categories), return_tensors="pt")
    inputs = inputs.to(subject.device)

    @torch.no_grad()
    def run() -> object:
        with torch.autocast(subject.device.type, precision, enabled=precision is not None):
            outputs = subject.model(**inputs)
        return processor.post_process_grounded_object_detection(
            outputs, inputs["input_ids"], THRESHOLD, THRESHOLD, [subject.image.shape[:2]]
        )

    return run


def passes(subject: Subject, switches: Switches, together: int = 1, precision: torch.dtype | None = None) -> Passes:
    """The engine's, which keep nothing."""
    return Passes(
        subject.model,
        subject.detector.preprocessing,
        subject.device,
        precision=precision,
        together=together,
        switches=switches,
    )


@torch.no_grad()
def answer(
    by: Passes, subject: Subject, prompts: Sequence[Prompt], references: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """Logits and boxes for the first prompt, see `engine.passes`.

    To be compared, the decoder has to begin at transformers' `references`: of a picture of noise and random weights
    thousands of cells are equally likely, and another rounding would choose others of them.
    """
    return next(iter(by.answers(by.see([subject.image]), prompts, references)))


def prompts(subject: Subject, categories: Sequence[str]) -> list[Prompt]:
    """What the engine asks for these categories."""
    packs = pack(Ontology.from_names(categories), subject.detector.tokenizer)
    return [packed.prompt for packed in packs]


def gains(
    subject: Subject, names: Sequence[str], categories: Sequence[str], precision: torch.dtype | None = None
) -> dict[str, float]:
    """ "gain_" and the name of a switch: how many times longer a picture takes with that one turned off."""
    (prompt,) = prompts(subject, categories)
    ways = [Switches(), *(replace(Switches(), **{name: False}) for name in names)]
    runs = [partial(answer, passes(subject, way, precision=precision), subject, [prompt]) for way in ways]
    for run in runs:
        run()
    seconds = in_turns(runs, subject.repeats)
    return {f"gain_{name}": own / seconds[0] for name, own in zip(names, seconds[1:], strict=True)}
