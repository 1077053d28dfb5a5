"""A preview is sheets and one page, in which nothing that somebody wrote is more than text."""

import re
from pathlib import Path

import pytest
from PIL import Image

from tests.training.preview.samples import sample
from training.preview import ShownToken, drawn_sheet, write_preview
from training.preview.drawing import ink_on, words_of
from training.preview.page import page


def test_a_folder_holds_numbered_sheets_and_a_page(tmp_path: Path) -> None:
    samples = [sample(image_id=number) for number in range(7)]
    files = write_preview(samples, {0: "first.png"}, tmp_path / "out", "title")
    assert [path.name for path in files] == ["index.html", "sheet-1.png", "sheet-2.png"]
    with Image.open(files[1]) as sheet, Image.open(files[2]) as rest:
        assert sheet.width > rest.width  # three columns, and one
    text = files[0].read_text(encoding="utf-8")
    assert text.count("data:image/jpeg;base64,") == 7
    assert "first.png" in text
    assert "image 6" in text  # its file has no name here


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    with pytest.raises(FileExistsError, match="choose another name"):
        write_preview([sample()], {}, tmp_path, "title")
    assert list(tmp_path.iterdir()) == []


def test_names_and_words_are_text_and_the_page_asks_nobody_for_anything() -> None:
    evil = "<script>alert(1)</script>"
    html = page([sample(evil)], [evil], evil)
    assert "<script" not in html
    assert html.count("&lt;script&gt;") == 5  # title, heading, name, the prompt's word and the box's
    assert not re.search(r"https?:", html)


def test_pieces_of_a_word_are_put_together_and_padding_is_counted() -> None:
    tokens = [
        ShownToken("[CLS]", "special", False, ()),
        ShownToken("cat", "name", False, ("#ff0000",)),
        ShownToken("apult", "name", True, ("#ff0000",)),
        ShownToken("s", "name", True, ()),
        *[ShownToken("[PAD]", "padding", False, ())] * 3,
    ]
    assert [word.text for word in words_of(tokens)] == ["[CLS]", "catapult", "s", "[PAD] x 3"]


def test_words_can_be_read_on_their_colour() -> None:
    assert ink_on("#ffff00") == "#000000"
    assert ink_on("#000080") == "#ffffff"


def test_a_box_is_drawn_in_its_colour_at_its_place() -> None:
    sheet = drawn_sheet([sample()], ["name"])
    colours = {color for _, color in sheet.getcolors(maxcolors=1 << 20) or []}
    assert (230, 25, 75) in colours


def test_a_box_without_room_and_a_prompt_of_many_lines_can_be_drawn() -> None:
    crowded = sample(words=["word"] * 300, xyxy=(3.0, 3.0, 3.0, 3.0))
    assert drawn_sheet([crowded], ["a name that is longer than its place " * 5]).height > 700
