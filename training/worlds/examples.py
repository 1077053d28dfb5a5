"""The example pictures that the app ships: `python -m training.worlds.examples app/examples`."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from training.worlds.concepts import CONCEPTS
from training.worlds.scenes import Scene, SceneRules, render_scene

SIZE_HW = (360, 480)
PROMPT = (  # for all examples at once, two names from each
    "dog. cat. red apple. banana. car. traffic light. lion. elephant. hamburger. donut. soccer ball. basketball. "
    "camera. books. butterfly. ladybug."
)
_RULES = SceneRules(
    min_objects=5,
    max_objects=7,
    smallest=0.18,
    largest=0.42,
    max_overlap=0.08,
    cut_share=0,
    jpeg_share=0,
    light_share=0,
)


@dataclass(frozen=True)
class Example:
    """One shipped picture: its file's name, what it shows, and the number that decides its looks."""

    name: str
    shows: tuple[str, ...]
    seed: int

    @property
    def prompt(self) -> str:
        """What to type to find everything in it."""
        return " ".join(f"{name}." for name in self.shows)


EXAMPLES = (
    Example("pets", ("dog", "cat", "rabbit", "mouse"), 216),
    Example("fruit", ("red apple", "green apple", "banana", "strawberry"), 220),
    Example("street", ("car", "bus", "bicycle", "traffic light"), 1),
    Example("safari", ("lion", "elephant", "monkey", "camel"), 193),
    Example("lunch", ("hamburger", "pizza", "hot dog", "donut"), 9),
    Example("sports", ("soccer ball", "basketball", "guitar", "balloon"), 33),
    Example("desk", ("laptop", "camera", "watch", "books"), 174),
    Example("garden", ("butterfly", "ladybug", "sunflower", "mushroom"), 87),
)


def example_scene(example: Example) -> Scene:
    """The scene of an example, with its labels.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    indices = [next(i for i, concept in enumerate(CONCEPTS) if concept.name == name) for name in example.shows]
    return render_scene(np.random.default_rng((example.seed, indices[0])), SIZE_HW, indices, _RULES)


def write_examples(folder: Path) -> None:
    """Write scenes/*.jpg and examples.json into `folder`, over those that are there."""
    scenes = folder / "scenes"
    scenes.mkdir(parents=True, exist_ok=True)
    for example in EXAMPLES:
        Image.fromarray(example_scene(example).image).save(scenes / f"{example.name}.jpg", quality=88)
    images = [{"file": f"scenes/{example.name}.jpg", "prompt": example.prompt} for example in EXAMPLES]
    content = json.dumps({"prompt": PROMPT, "images": images}, indent=2) + "\n"
    (folder / "examples.json").write_text(content, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the examples into the folder named on the command line."""
    folder = Path((sys.argv[1:] if arguments is None else arguments)[0])
    write_examples(folder)
    print(f"Wrote {len(EXAMPLES)} examples to {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
