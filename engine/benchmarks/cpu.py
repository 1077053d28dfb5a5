"""The engine beside transformers on a processor: latency, another prompt, a long vocabulary, and equality."""

from collections.abc import Callable
from functools import partial

import torch

from engine.benchmarks import sampling
from engine.benchmarks.beside import in_turns, timed
from engine.benchmarks.floor import floor_seconds
from engine.benchmarks.full_size import names
from engine.benchmarks.subject import (
    THRESHOLD,
    Subject,
    answer,
    by_transformers,
    difference,
    gains,
    passes,
    prompts,
    theirs,
)
from engine.grounding import GroundingDetector
from engine.network.deformable import Shapes
from engine.network.switches import Switches
from engine.ontology import Ontology

_CATEGORIES = ("cat", "remote control", "red car")
_OTHERS = ("dog", "umbrella", "blue bird")
_NAIVE_CHUNK = 40  # names of a prompt, as published evaluations on LVIS ask
_NAIVE_TRIED = 3  # chunks that are run; the others cost the same
SWITCHES = (
    "fuse_through_text",
    "weighted_bags",
    "fast_products",
    "feed_in_parts",
    "swin_in_parts",
    "true_text_length",
)
"""That matter to a processor and a network with Swin."""

Say = Callable[[str], None]


def measure(subject: Subject, say: Say, shapes: Shapes = sampling.FULL_SHAPES) -> dict[str, float]:
    """The rows "latency_ratio" and so on of `bench engine`, without their "cpu."."""
    found = _differences(subject)
    say(f"outputs compared: largest difference {found['max_diff']:.1e}")
    found |= _latency(subject)
    say(f"latency: {found['seconds']:.2f} s an image, transformers {found['transformers_seconds']:.2f} s")
    found |= _another_prompt(subject)
    say(f"another prompt: {found['reprompt_seconds']:.2f} s")
    found |= gains(subject, SWITCHES, _CATEGORIES)
    found |= sampling.measure_learning(torch.device("cpu"), subject.repeats, shapes)
    say(f"sampling with gradients: {found['learning_seconds']:.2f} s a layer")
    found |= _vocabulary(subject)
    say(f"{subject.vocabulary} names: {found['vocabulary_seconds']:.1f} s")
    return found


def _latency(subject: Subject) -> dict[str, float]:
    ontology = Ontology.from_names(_CATEGORIES)
    by_them = theirs(subject, _CATEGORIES)

    def ours() -> object:
        return subject.detector.detect([subject.image], ontology, threshold=THRESHOLD)

    floor = floor_seconds(ours)  # also warms up
    transformers, engine = in_turns([by_them, ours], subject.repeats)
    return {
        "latency_ratio": transformers / engine,
        "over_floor": engine / floor,
        "seconds": engine,
        "transformers_seconds": transformers,
        "floor_seconds": floor,
    }


def _another_prompt(subject: Subject) -> dict[str, float]:
    """The second prompt on an image: each time one that the detector has not read yet."""
    fresh = iter(names(subject.keeping.tokenizer, len(_CATEGORIES) * (2 * subject.repeats + 1), seed=1))

    def ask(detector: GroundingDetector) -> object:
        ontology = Ontology.from_names([next(fresh) for _ in _CATEGORIES])
        return detector.detect([subject.image], ontology, threshold=THRESHOLD)

    ask(subject.keeping)
    ours = [partial(ask, detector) for detector in (subject.keeping, subject.detector)]
    transformers, keeping, anew = in_turns([theirs(subject, _OTHERS), *ours], subject.repeats)
    return {
        "reprompt_ratio": transformers / keeping,
        "reprompt_seconds": keeping,
        "gain_keep_features": anew / keeping,
    }


def _vocabulary(subject: Subject) -> dict[str, float]:
    everything = names(subject.detector.tokenizer, subject.vocabulary)
    ontology = Ontology.from_names(everything)
    chunks = [everything[start : start + _NAIVE_CHUNK] for start in range(0, len(everything), _NAIVE_CHUNK)]
    tried = [timed(theirs(subject, chunk))[0] for chunk in chunks[:_NAIVE_TRIED]]
    transformers = sum(tried) / len(tried) * len(chunks)
    engine, _ = timed(lambda: subject.detector.detect([subject.image], ontology, threshold=THRESHOLD))
    return {
        "vocabulary_ratio": transformers / engine,
        "vocabulary_seconds": engine,
        "vocabulary_prompts": len(prompts(subject, everything)),
        "naive_prompts": len(chunks),
    }


def _differences(subject: Subject) -> dict[str, float]:
    """The largest difference of boxes (parts of the picture) and scores to transformers', alone and among others."""
    (prompt,) = prompts(subject, _CATEGORIES)
    longer = prompts(subject, [*_CATEGORIES, *_OTHERS])[0]
    exact, references = by_transformers(subject, prompt)
    alone = answer(passes(subject, Switches()), subject, [prompt], references)
    in_batch = answer(passes(subject, Switches(), together=2), subject, [prompt, longer], references)
    return {"max_diff": difference(exact, alone), "batch_diff": difference(exact, in_batch)}
