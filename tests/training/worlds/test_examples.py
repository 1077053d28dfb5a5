"""The pictures that the app ships."""

import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from tests.training.worlds.font import needs_font
from training.worlds.examples import EXAMPLES, example_scene, write_examples

SHIPPED = Path(__file__).parents[3] / "app" / "examples"


def test_the_shipped_list_names_the_shipped_pictures() -> None:
    content = json.loads((SHIPPED / "examples.json").read_text(encoding="utf-8"))
    listed = {row["file"] for row in content["images"]}
    assert listed == {f"scenes/{path.name}" for path in (SHIPPED / "scenes").iterdir()}
    assert all((SHIPPED / name).stat().st_size < 40_000 for name in listed)
    names = set(content["prompt"].rstrip(".").split(". "))
    assert all(names & set(row["prompt"].rstrip(".").split(". ")) for row in content["images"])


@needs_font
def test_an_example_shows_what_its_prompt_asks_for() -> None:
    for example in EXAMPLES:
        assert len(set(example_scene(example).labels.tolist())) == len(example.shows)


@needs_font
def test_the_shipped_pictures_are_the_rendered_ones(tmp_path: Path) -> None:
    write_examples(tmp_path)
    mine, shipped = tmp_path / "examples.json", SHIPPED / "examples.json"
    assert mine.read_text(encoding="utf-8") == shipped.read_text(encoding="utf-8")
    for example in EXAMPLES:
        name = f"scenes/{example.name}.jpg"
        new, old = (np.asarray(Image.open(io.BytesIO((folder / name).read_bytes()))) for folder in (tmp_path, SHIPPED))
        # Other releases of Pillow resize and compress a little differently.
        assert np.abs(new.astype(int) - old).mean() < 4
