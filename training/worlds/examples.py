"""The example pictures that the app ships, each with a question and its right answer by construction.

To draw them again as they are, after a change of the renderer::

    python -m training.worlds.examples app/examples

To choose new ones, after a change of the starter: of many scenes those that the detector answers fully right at its
default threshold, of these the one it is surest of. Some minutes::

    python -m training.worlds.examples app/examples --choose starter
"""

import argparse
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from annotations.captions import CaptionText
from common.arguments import positive
from common.publish import published_file, published_files
from training.worlds.concepts import THINGS
from training.worlds.expressions import expressions
from training.worlds.relations import things_of
from training.worlds.scenes import Scene, SceneRules, render_scene
from training.worlds.sentences import listing, placing
from training.worlds.sprites import FontMissing
from training.worlds.verdicts import Verdict, judged

if TYPE_CHECKING:
    from engine.detector import Detector

SIZE_HW = (480, 640)
QUALITY = 90  # of the JPEG files
TRIES = 20  # scenes that the detector looks at for each example
_ENOUGH = Verdict(0, 0.8)  # need not be surpassed
_MOST_SEEDS = 20_000
_MOST_BYTES = 48_000  # of a picture: one with more details draws the eye to its background
_CALM = 6.0  # mean steepness of a background, in levels of a colour
_QUIET = 120  # mean saturation of a background, of 255
_DRAWS = 16  # of a sentence, until it is the one that is wanted

_RULES = SceneRules(
    smallest=0.2,
    largest=0.36,
    stretch=(1.0, 1.0),
    max_overlap=0.0,
    cut_share=0,
    turned_share=0.2,
    jpeg_share=0,
    backdrop_share=0,
    clutter_share=0,
    light_share=0,
    shadow_share=1,
    surface_share=0,
    blur_share=0,
    noise_share=0,
)


@dataclass(frozen=True)
class Example:
    """One shipped picture: its file's name, what it is called, what is on it, and what is asked of it."""

    name: str
    title: str
    shows: tuple[str, ...]
    count: int  # things on it
    task: Literal["detect", "ground", "refer"]
    prompt: str


@dataclass(frozen=True)
class Answer:
    """One box of a right answer: its category, phrase or expression, and where it is."""

    name: str
    xyxy: tuple[float, float, float, float]


EXAMPLES = (
    Example(
        "breakfast",
        "Breakfast",
        ("coffee", "croissant", "fried egg", "pancakes"),
        5,
        "detect",
        "coffee. croissant. fried egg. pancakes.",
    ),
    Example(
        "shapes",
        "Colours and patterns",
        ("blue circle", "striped red star", "green triangle", "spotted yellow heart"),
        5,
        "detect",
        "blue circle. striped red star. green triangle. spotted yellow heart.",
    ),
    Example("garden", "Garden", ("tomato", "tomato", "frog"), 3, "ground", "two red tomatoes and a green frog"),
    Example("sea", "In the sea", ("fish", "fish", "octopus"), 3, "ground", "two fish below an octopus"),
    Example("rabbits", "Rabbits", ("rabbit", "carrot"), 4, "refer", "the larger of the two rabbits"),
    Example("music", "Music", ("violin", "piano", "trumpet"), 4, "refer", "the violin left of the piano"),
)


def example_scene(example: Example, seed: int) -> Scene:
    """The scene that the seed decides.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    labels = [_label(name) for name in example.shows]
    rules = SceneRules(**{**vars(_RULES), "min_objects": example.count, "max_objects": example.count})
    return render_scene(np.random.default_rng((seed, labels[0])), SIZE_HW, labels, rules)


def right_answers(example: Example, scene: Scene) -> list[Answer] | None:
    """What to answer; None where the question can't be asked of the scene beyond doubt, or something is missing."""
    names = [THINGS[label].name for label in scene.labels.tolist()]
    if set(names) != set(example.shows) or len(names) != example.count:
        return None
    if example.task == "detect":
        return [Answer(name, _corners(box)) for name, box in zip(names, scene.boxes_xyxy, strict=True)]
    if example.task == "ground":
        return _of_sentence(example.prompt, scene)
    things = things_of(scene)
    thing = {one.text: one.thing for one in expressions(things, [])}.get(example.prompt)
    if thing is None or sum(other.description.noun == thing.description.noun for other in things) < 2:
        return None  # without another of its kind its name alone would do
    return [Answer(example.prompt, thing.box)]


def write_examples(folder: Path) -> None:
    """Draw scenes/*.jpg and write examples.json into `folder`, by the seeds of the examples.json that is there."""
    content = json.loads((folder / "examples.json").read_text(encoding="utf-8"))
    _write(folder, {Path(row["file"]).stem: row["seed"] for row in content["images"]})


def choose(example: Example, detector: "Detector", tries: int = TRIES) -> tuple[int, Verdict]:
    """The seed of the scene about which the detector is right and surest, or least wrong, and how right it is."""
    best: tuple[Verdict, int] | None = None
    looked = 0
    for seed in range(_MOST_SEEDS):
        scene = example_scene(example, seed)
        answers = right_answers(example, scene)
        if answers is None or not _is_calm(scene):
            continue
        image = np.asarray(Image.open(io.BytesIO(_packed(scene))))  # as it will be shipped
        verdict = judged(detector, image, _row(example, seed, answers))
        best = max(best, (verdict, -seed)) if best else (verdict, -seed)
        looked += 1
        if looked == tries or best[0] >= _ENOUGH:
            break
    if best is None:
        raise ValueError(f"None of {_MOST_SEEDS} scenes shows what {example.prompt!r} asks for: ask something else.")
    return -best[1], best[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the examples; 1 when one is not answered right, or after a line on stderr that says what is in the way."""
    parser = argparse.ArgumentParser(prog="python -m training.worlds.examples", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--choose", metavar="DETECTOR", help="look for scenes that this detector answers right")
    parser.add_argument("--tries", type=positive, default=TRIES, help=f"scenes to look at for each example ({TRIES})")
    chosen = parser.parse_args(arguments)
    from engine.errors import EngineError

    try:
        if chosen.choose:
            return 0 if _write_chosen(chosen.folder, chosen.choose, chosen.tries) else 1
        write_examples(chosen.folder)
    except (EngineError, FontMissing, OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"Wrote {len(EXAMPLES)} examples to {chosen.folder}.")
    return 0


def _write_chosen(folder: Path, name: str, tries: int) -> bool:
    """Whether the detector answers all of the new examples right."""
    from engine.checkpoints import load_detector

    detector = load_detector(name)
    seeds, verdicts = {}, []
    for example in EXAMPLES:
        seeds[example.name], verdict = choose(example, detector, tries)
        said = "right" if verdict.is_right else f"{-verdict.faults} faults"
        print(f"{example.name}: seed {seeds[example.name]}, {said}, least score {verdict.least_score:.2f}", flush=True)
        verdicts.append(verdict)
    _write(folder, seeds)
    right = sum(verdict.is_right for verdict in verdicts)
    print(f"Wrote {len(EXAMPLES)} examples to {folder}; {right} of them are answered right.")
    return right == len(EXAMPLES)


def _write(folder: Path, seeds: dict[str, int]) -> None:
    rows, scenes = [], folder / "scenes"
    with published_files(scenes) as aside:
        for example in EXAMPLES:
            scene = example_scene(example, seeds[example.name])
            answers = right_answers(example, scene)
            if answers is None:
                seed = seeds[example.name]
                raise ValueError(f"Seed {seed} of {example.name!r} has no right answer now: use --choose.")
            (aside / f"{example.name}.jpg").write_bytes(_packed(scene))
            rows.append(_row(example, seeds[example.name], answers))
    with published_file(folder / "examples.json") as file:
        file.write_text(json.dumps({"images": rows}, indent=2) + "\n", encoding="utf-8")
    for old in scenes.glob("*.jpg"):
        if old.stem not in seeds:
            old.unlink()


def _row(example: Example, seed: int, answers: Sequence[Answer]) -> dict[str, Any]:
    return {
        "file": f"scenes/{example.name}.jpg",
        "title": example.title,
        "task": example.task,
        "prompt": example.prompt,
        "seed": seed,
        "answers": [{"name": each.name, "xyxy": [round(side, 1) for side in each.xyxy]} for each in answers],
    }


def _of_sentence(text: str, scene: Scene) -> list[Answer] | None:
    """The boxes of each phrase that a reader finds in the sentence, where the scene is truly so."""
    caption = next((each for each in _sentences(scene) if each.text == text), None)
    if caption is None:
        return None
    from engine.captions import caption_of

    answers = []
    for start, end in caption_of(text).spans:
        told = next(phrase for phrase in caption.phrases if any(a <= start and end <= b for a, b in phrase.spans))
        answers += [Answer(text[start:end], _corners(box)) for box in told.boxes_xyxy]
    return answers


def _sentences(scene: Scene) -> Iterator[CaptionText]:
    """Some true sentences: what is there, and how it stands to each other."""
    things = things_of(scene)
    for draw in range(_DRAWS):
        for say in (listing, placing):
            caption = say(np.random.default_rng(draw), things)
            if caption is not None:
                yield caption


def _is_calm(scene: Scene) -> bool:
    """Whether the background leaves the eye to the things: no garish colours, no steep changes, no fine details."""
    near = cv2.dilate((scene.owner > 0).astype(np.uint8), np.ones((25, 25), np.uint8)) > 0  # their shadows too
    saturation = cv2.cvtColor(scene.image, cv2.COLOR_RGB2HSV)[..., 1]
    smooth = cv2.GaussianBlur(scene.image, (0, 0), 2).astype(np.float32)
    steepness = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)).max(axis=-1)
    if saturation[~near].mean() > _QUIET or steepness[~near].mean() > _CALM:
        return False
    return len(_packed(scene)) <= _MOST_BYTES


def _packed(scene: Scene) -> bytes:
    """The picture as a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(scene.image).save(file, "JPEG", quality=QUALITY, optimize=True)
    return file.getvalue()


def _label(name: str) -> int:
    return next(index for index, thing in enumerate(THINGS) if thing.name == name)


def _corners(box: NDArray[np.float32]) -> tuple[float, float, float, float]:
    x1, y1, x2, y2 = (float(side) for side in box)
    return x1, y1, x2, y2


if __name__ == "__main__":
    sys.exit(main())
