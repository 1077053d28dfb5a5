"""The image files of a dataset: gone, damaged or changed, and the same picture on both sides of a split."""

import os
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from common.images import ImageRefused, ImageRGB, read_indexed
from training.checks.problem import Problem, Report, counted, error, in_order, warning
from training.checks.subject import AnyImage, Parts

_HASH_SIDE = 16
_LEAST_EDGES = 24  # a picture with fewer of 256 bits set is nearly flat, and like every other flat one
_NEAR_BITS = 8  # of 256: pictures that differ in fewer are one picture saved twice
_AT_ONCE = 32
GONE = "gone"

Fingerprint = NDArray[np.uint64]  # (4,)


@dataclass(frozen=True)
class Reading:
    """What reading the files found.

    Attributes:
        refused: image id -> why it can't be used.
        fingerprints: image id -> 256 bits that hardly change when a picture is saved again.
        looked_at: how many were read.
    """

    refused: Mapping[int, str]
    fingerprints: Mapping[int, Fingerprint]
    looked_at: int


def check_files(parts: Parts, digests: Mapping[int, str], seconds: float) -> Report:
    """Read the images, for at most so long, and compare those of different splits.

    Args:
        parts: the images by what a run does with them.
        digests: image id -> SHA-256 of its file when it was imported.
        seconds: after which the rest is only looked for, not read.
    """
    uses = parts.by_use()
    learnt, measured = uses["train"], _measured(parts, uses)
    images = list({image.id: image for image in (*learnt, *measured)}.values())
    reading = read_files(images, seconds)
    problems = [
        *_refused({"learn from": learnt, "measure on": measured}, images, reading),
        *_copies(uses, digests),
        *_near(learnt, uses["val"], digests, reading),
    ]
    if reading.looked_at < len(images) - sum(reason == GONE for reason in reading.refused.values()):
        seen = f"{reading.looked_at:,} of {counted(len(images), 'image')}"
        what = f"{seen} read in {seconds:g} s, the rest only looked for"
        advice = "A damaged one among the rest would end the run when its turn comes."
        problems.append(warning("not_all_read", what, advice))
    return Report(in_order(problems), frozenset(reading.refused))


def read_files(images: Sequence[AnyImage], seconds: float) -> Reading:
    """See that every file is there, and read as many as the time allows."""
    refused: dict[int, str] = {}
    fingerprints: dict[int, Fingerprint] = {}
    there = []
    for image in images:
        if Path(image.path).is_file():
            there.append(image)
        else:
            refused[image.id] = GONE
    until = time.monotonic() + seconds
    looked_at = 0
    with ThreadPoolExecutor(min(4, os.cpu_count() or 1), "images") as pool:
        for start in range(0, len(there), _AT_ONCE):
            if time.monotonic() > until:
                break
            group = there[start : start + _AT_ONCE]
            for image, found in zip(group, pool.map(_look, group), strict=True):
                looked_at += 1
                if isinstance(found, str):
                    refused[image.id] = found
                else:
                    fingerprints[image.id] = found
    return Reading(refused, fingerprints, looked_at)


def fingerprint(image: ImageRGB) -> Fingerprint:
    """Which of 16 x 16 places are darker than their right neighbour (a difference hash).

    Args:
        image: (H, W, 3) uint8 RGB.

    Returns:
        (4,) uint64, 256 bits.
    """
    grey = Image.fromarray(image).resize((_HASH_SIDE + 1, _HASH_SIDE), Image.Resampling.BOX, reducing_gap=2.0)
    values = np.asarray(grey.convert("L"), np.int16)  # (16, 17)
    return np.packbits(values[:, 1:] > values[:, :-1]).view(np.uint64)


def _look(image: AnyImage) -> Fingerprint | str:
    try:
        return fingerprint(read_indexed(Path(image.path), image.width, image.height))
    except ImageRefused as refusal:
        return str(refusal)


def _refused(
    purposes: Mapping[str, Sequence[AnyImage]], images: Sequence[AnyImage], reading: Reading
) -> Iterator[Problem]:
    for purpose, side in purposes.items():
        if side and all(image.id in reading.refused for image in side):
            reason = next(reading.refused[image.id] for image in side)
            seen = "is gone" if reason == GONE else f"is gone or can't be read ({reason})"
            what = f"Every image to {purpose} {seen}"
            yield error("no_image_left", what, "Put them back, or import again.", [image.path for image in side])
            return
    gone = [image.file_name for image in images if reading.refused.get(image.id) == GONE]
    if gone:
        what = f"{counted(len(gone), 'image file')} no longer where imported"
        yield warning("image_gone", what, "They are left out: put them back, or import again.", gone)
    reasons = {image.file_name: reading.refused[image.id] for image in images if image.id in reading.refused}
    changed = [name for name, reason in reasons.items() if " px when it was imported" in reason]
    if changed:
        what = f"{counted(len(changed), 'image')} of another size than when imported"
        yield warning("image_changed", what, "They are left out, for their boxes no longer fit: restore them.", changed)
    damaged = [name for name, reason in reasons.items() if reason != GONE and name not in changed]
    if damaged:
        what = f"{counted(len(damaged), 'image file')} that can't be read"
        yield warning("image_unreadable", what, "They are left out: replace the files.", damaged)


def _copies(uses: Mapping[str, Sequence[AnyImage]], digests: Mapping[int, str]) -> Iterator[Problem]:
    """The same bytes on two sides."""
    pairs = []
    for first, second in combinations(uses, 2):
        known: dict[str, AnyImage] = {digests[i.id]: i for i in uses[first] if i.id in digests}
        same = [(known[digests[i.id]], i) for i in uses[second] if digests.get(i.id) in known]
        pairs += [f"{a.file_name} ({first}) = {b.file_name} ({second})" for a, b in same]
    if pairs:
        what = f"{counted(len(pairs), 'image')} with the same bytes in two splits, so that the numbers flatter"
        yield warning("same_image_in_two_splits", what, "Remove one of each pair, or put both into one split.", pairs)
    groups: dict[str, list[str]] = defaultdict(list)
    for image in uses["train"]:
        groups[digests.get(image.id, str(image.id))].append(image.file_name)
    twice = [" = ".join(names) for names in groups.values() if len(names) > 1]
    if twice:
        what = f"{counted(len(twice), 'image')} more than once among those to learn from"
        yield warning("same_image_twice", what, "Remove the copies, above all where their boxes differ.", twice)


def _near(
    train: Sequence[AnyImage], validation: Sequence[AnyImage], digests: Mapping[int, str], reading: Reading
) -> Iterator[Problem]:
    """Pictures on both sides that look the same without being the same bytes."""
    prints = {id_: bits for id_, bits in reading.fingerprints.items() if np.bitwise_count(bits).sum() >= _LEAST_EDGES}
    learnt = [image for image in train if image.id in prints]
    measured = [image for image in validation if image.id in prints]
    if not learnt or not measured:
        return
    known = np.stack([prints[image.id] for image in learnt])  # (N, 4)
    pairs = []
    for image in measured:
        distances = np.bitwise_count(known ^ prints[image.id]).sum(axis=1)
        nearest = learnt[int(distances.argmin())]
        same_bytes = digests.get(nearest.id, 0) == digests.get(image.id, 1)
        if distances.min() <= _NEAR_BITS and not same_bytes:
            pairs.append(f"{nearest.file_name} (train) ≈ {image.file_name} (val)")
    if pairs:
        what = f"{counted(len(pairs), 'image')} to measure on that look like one to learn from"
        yield warning(
            "near_copy_in_two_splits", what, "Look at them: a copy on both sides makes the numbers flatter.", pairs
        )


def _measured(parts: Parts, uses: Mapping[str, Sequence[AnyImage]]) -> Sequence[AnyImage]:
    """The images to measure on; with few images they are those that are learnt from."""
    return uses["val"] or [*parts.validation, *parts.validation_texts]
