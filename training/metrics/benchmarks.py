"""Asks a detector for the categories or sentences of a public benchmark, by the protocol of the published numbers.

Throughout: the 300 best pairs of query and text of a prompt, no threshold, no suppression of overlaps, names as words
(MM-Grounding-DINO, arXiv:2401.02361, and the evaluation code it comes with). Captions and expressions are asked for in
`training.metrics.captions`.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from common.images import ImageRefused, ImageRGB, read_image
from engine.ontology import Ontology, clean_phrase
from training.errors import LayoutRefused
from training.metrics.coco import Evaluation, Predictions, coco_metrics, predictions_of
from training.metrics.described import described_ap
from training.metrics.lvis import lvis_fixed_ap
from training.metrics.odinw import odinw_average
from training.metrics.readers.samples import DescribedSample, DescribedSet, DetectionSet, FederatedSet, ImageFile

if TYPE_CHECKING:
    from engine.detector import Detector

TOP_K = 300
NAMES_A_PROMPT = 40
"""Of LVIS's 1203 names so many are asked for at once, and the 300 best of each such prompt count."""

PictureOf = Callable[[ImageFile], ImageRGB]
Question = Callable[[list[ImageRGB]], list[Predictions]]
Step = Callable[[int, int], None]  # called with (done, in all)


def evaluate_coco(
    detector: "Detector",
    dataset: DetectionSet,
    picture_of: PictureOf,
    *,
    batch_size: int = 1,
    progress: Step | None = None,
) -> Evaluation:
    """COCO's numbers, all names asked for; see `coco_metrics`.

    Args:
        dataset: what is labelled.
        picture_of: reads the picture of a sample, such as `pictures_in(folder)`.
        batch_size: images a call.
        progress: called with (images done, images in all).

    Raises:
        LayoutRefused: there is no image, or no name.
        ImageRefused: what `picture_of` raises.
    """
    question = asking(detector, dataset.names)
    images = [sample.image for sample in dataset.samples]
    found = list(_answers(question, images, picture_of, batch_size, progress))
    return coco_metrics([sample.labels for sample in dataset.samples], found, dataset.names)


def evaluate_odinw(
    detector: "Detector",
    sets: Iterable[DetectionSet],
    *,
    images_dirs: Mapping[str, Path] | None = None,
    batch_size: int = 1,
    progress: Step | None = None,
) -> Evaluation:
    """COCO's numbers of each set and their plain mean; see `odinw_average`. Progress is told for each set anew.

    Args:
        sets: one after the other, as `read_odinw` gives them.
        images_dirs: name of a set -> its pictures, where they don't lie beside the annotations.
    """
    found: dict[str, Evaluation] = {}
    for one in sets:
        folder = (images_dirs or {}).get(one.name, one.images_dir)
        if folder is None:
            raise LayoutRefused(f"Nobody said where the pictures of {one.name!r} are. Give its folder.")
        found[one.name] = evaluate_coco(detector, one, pictures_in(folder), batch_size=batch_size, progress=progress)
    if not found:
        raise LayoutRefused("There is no dataset to look at. Name the folder that holds ODinW's.")
    return odinw_average(found)


def evaluate_lvis(
    detector: "Detector",
    dataset: FederatedSet,
    picture_of: PictureOf,
    *,
    names_a_prompt: int = NAMES_A_PROMPT,
    batch_size: int = 1,
    progress: Step | None = None,
) -> Evaluation:
    """LVIS's fixed AP; see `lvis_fixed_ap`. The best of every prompt count: some 9,000 boxes an image of all of LVIS.

    Boxes are forgotten on the way that can no longer be among a category's best: memory does not grow with the images.
    """
    question = asking(detector, [category.name for category in dataset.categories], names_a_prompt)
    images = [sample.image for sample in dataset.samples]
    found = _answers(question, images, picture_of, batch_size, progress)
    return lvis_fixed_ap([sample.labels for sample in dataset.samples], found, dataset.categories)


def evaluate_described(
    detector: "Detector",
    dataset: DescribedSet,
    picture_of: PictureOf,
    *,
    parallel: bool = False,
    progress: Step | None = None,
) -> Evaluation:
    """D3's numbers, each image asked for its group's sentences; see `described_ap`.

    Args:
        parallel: one sentence a forward pass instead of all at once: published numbers are some 5 AP better then, and
            it takes as many times longer as a group has sentences.
    """
    questions: dict[frozenset[int], Question] = {}

    def answer(sample: DescribedSample) -> Predictions:
        group = np.array(sorted(sample.group), np.int64)
        if not len(group):
            return joined([])
        if sample.group not in questions:
            texts = [dataset.sentences[place].text for place in group]
            questions[sample.group] = asking(detector, texts, 1 if parallel else None)
        (found,) = questions[sample.group]([picture_of(sample.image)])
        return Predictions(found.boxes_xyxy, group[found.classes], found.scores)

    _check_any(dataset.samples)
    found = []
    for sample in dataset.samples:
        found.append(answer(sample))
        if progress is not None:
            progress(len(found), len(dataset.samples))
    groups = [sample.group for sample in dataset.samples]
    return described_ap([sample.labels for sample in dataset.samples], found, dataset.sentences, groups)


def asking(detector: "Detector", names: Sequence[str], names_a_prompt: int | None = None) -> Question:
    """A question about pictures for all names, some at a time.

    Names are asked for as words (`spoken`); those that read alike are asked for once, and the answer is each one's.

    Args:
        names: what the answers' classes index.
        names_a_prompt: how many share a prompt and its 300 best boxes; None: all share them.
    """
    owners: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        owners.setdefault(clean_phrase(spoken(name)), []).append(place)
    phrases = list(owners)
    size = names_a_prompt or max(len(phrases), 1)
    parts = [phrases[start : start + size] for start in range(0, len(phrases), size)]
    prompts = [(Ontology.from_names(part), [owners[phrase] for phrase in part]) for part in parts]

    def question(pictures: list[ImageRGB]) -> list[Predictions]:
        answers: list[list[Predictions]] = [[] for _ in pictures]
        for ontology, places in prompts:
            found = detector.detect(pictures, ontology, threshold=0.0, top_k=TOP_K)
            for answer, detections in zip(answers, found, strict=True):
                answer.append(_given_to(predictions_of(detections), places))
        return [joined(answer) for answer in answers]

    return question


def spoken(name: str) -> str:
    """A category's name as words: "bow_(weapon)" is asked for as "bow"."""
    words = " ".join(re.sub(r"\([^)]*\)", " ", name).replace("_", " ").split())
    return words or name


def joined(parts: Sequence[Predictions]) -> Predictions:
    """The predictions of several prompts about one image, one after the other."""
    return Predictions(
        np.concatenate([np.zeros((0, 4), np.float32), *(part.boxes_xyxy for part in parts)]),
        np.concatenate([np.zeros(0, np.int64), *(part.classes for part in parts)]),
        np.concatenate([np.zeros(0, np.float32), *(part.scores for part in parts)]),
    )


def pictures_in(folder: Path) -> PictureOf:
    """Reads pictures below a folder as the file names them, or by their last name alone.

    What it gives raises ImageRefused: no such picture, damaged, or not of the size its labels say.
    """

    def picture_of(image: ImageFile) -> ImageRGB:
        path = folder / image.file_name
        if not path.is_file():
            path = folder / Path(image.file_name).name
        if not path.is_file():
            raise ImageRefused(f"There is no {image.file_name!r} in {str(folder)!r}: name the folder of the pictures.")
        picture = read_image(path)
        height, width = picture.shape[:2]
        if (width, height) != (image.width, image.height):
            raise ImageRefused(
                f"{path.name!r} is {width} x {height} px but labelled at {image.width} x {image.height} px: take the "
                "picture that the labels were drawn on."
            )
        return picture

    return picture_of


def _answers(
    question: Question,
    images: Sequence[ImageFile],
    picture_of: PictureOf,
    batch_size: int,
    progress: Step | None,
) -> Iterator[Predictions]:
    """What the detector says of each image, one by one."""
    _check_any(images)
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        yield from question([picture_of(image) for image in part])
        if progress is not None:
            progress(start + len(part), len(images))


def _given_to(found: Predictions, owners: Sequence[Sequence[int]]) -> Predictions:
    """Each prediction once for every category that its phrase stands for."""
    counts = np.array([len(places) for places in owners])[found.classes]
    rows = np.repeat(np.arange(len(found.classes)), counts)
    classes = [place for label in found.classes for place in owners[label]]
    return Predictions(found.boxes_xyxy[rows], np.array(classes, np.int64), found.scores[rows])


def _check_any(samples: Sequence[object]) -> None:
    if not samples:
        raise LayoutRefused("The file has no image to look at. Name another one.")
