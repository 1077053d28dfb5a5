"""The layout that Flickr30k Entities' authors give it in."""

from pathlib import Path

import pytest

from training.errors import LayoutRefused
from training.metrics.readers import ImageFile, read_flickr

SENTENCES = (
    "[/EN#283585/people Two young guys] with [/EN#283587/bodyparts/other shaggy hair] look at [/EN#0/notvisual it] .\n"
    "[/EN#283588/scene A yard] is   empty .\n"
    "[/EN#283585/people They] rest .\n"
)
BOXES = """<annotation>
  <filename>36979.jpg</filename>
  <size><width>100</width><height>80</height><depth>3</depth></size>
  <object><name>283585</name><bndbox><xmin>1</xmin><ymin>2</ymin><xmax>30</xmax><ymax>40</ymax></bndbox></object>
  <object><name>283585</name><name>283587</name>
    <bndbox><xmin>50</xmin><ymin>2</ymin><xmax>80</xmax><ymax>40</ymax></bndbox></object>
  <object><name>283588</name><scene>1</scene><nobndbox>1</nobndbox></object>
</annotation>"""


def folder(root: Path, sentences: str = SENTENCES, boxes: str = BOXES) -> Path:
    for name, text in (("Sentences/36979.txt", sentences), ("Annotations/36979.xml", boxes), ("test.txt", "36979\n")):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    return root / "test.txt"


def test_sentences_come_without_marks_and_phrases_with_boxes_and_kinds(tmp_path: Path) -> None:
    first, last = read_flickr(folder(tmp_path))  # the yard is a scene: nothing of its sentence has a box
    assert first.image == ImageFile("36979.jpg", 100, 80)
    assert first.caption == "Two young guys with shaggy hair look at it ."
    assert [first.caption[start:end] for ((start, end),) in first.spans] == ["Two young guys", "shaggy hair"]
    guys, hair = first.labels.boxes_xyxy
    assert guys.tolist() == [[1, 2, 30, 40], [50, 2, 80, 40]]
    assert hair.tolist() == [[50, 2, 80, 40]]  # one box may belong to several entities
    assert first.labels.types == (("people",), ("bodyparts", "other"))
    assert last.caption == "They rest ."


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("[/EN#283585/people Two", "[/EN#x/people Two", "36979.txt line 1 has a phrase that is not written"),
        ("<width>100</width>", "", "36979.xml has 'width' '', not pixels"),
        ("<xmax>30</xmax>", "<xmax>NaN</xmax>", "36979.xml has 'xmax' 'NaN', not pixels"),
        ("<xmax>30</xmax>", "<xmax>0</xmax>", "36979.xml: object 1 has no box inside its image"),
        ("<xmin>50</xmin>", "<xmin>170</xmin>", "36979.xml: object 2 has no box inside its image"),
        ("36979.jpg", "../36979.jpg", "36979.xml does not say which image it is about"),
        ("<annotation>", "<annotation", "36979.xml is not plain XML"),
        ("<annotation>", '<!DOCTYPE a [<!ENTITY b "c">]><annotation>', "36979.xml is not plain XML"),
    ],
)
def test_a_bad_file_is_named_in_one_line(old: str, new: str, said: str, tmp_path: Path) -> None:
    path = folder(tmp_path, SENTENCES.replace(old, new), BOXES.replace(old, new))
    with pytest.raises(LayoutRefused) as caught:
        read_flickr(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)


def test_a_list_that_names_no_image_is_refused(tmp_path: Path) -> None:
    path = folder(tmp_path)
    path.write_text("../secret\n")
    with pytest.raises(LayoutRefused, match=r"test\.txt lists '\.\./secret', not the number of an image"):
        read_flickr(path)
    path.write_text("7\n")
    with pytest.raises(LayoutRefused, match=r"There is no file at .*7\.xml'. Name test\.txt beside Sentences"):
        read_flickr(path)
    with pytest.raises(LayoutRefused, match=r"There is no file at .*val\.txt'"):
        read_flickr(tmp_path / "val.txt")
