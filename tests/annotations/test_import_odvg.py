"""ODVG goes in: boxes as from every format, texts with the words that mean them; what is wrong is told in a line."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from annotations.captions import CaptionText, captioned_images
from annotations.database import Store
from annotations.errors import ImportRefused
from annotations.importers import ImportReport, import_path
from annotations.importers.doors import detect_format
from annotations.importers.odvg import MAX_LINE_BYTES
from annotations.queries import categories, dataset_by_name, images_page, labelled_images
from tests.annotations.pictures import coco, coco_box, coco_image, paint, real_data, write, write_json

NAMES = {"0": "cat", "1": "dog"}
BOX = [10, 20, 30, 40]


def detection(*instances: Any, filename: str = "a.png", **more: Any) -> dict[str, Any]:
    return {
        "filename": filename,
        "height": 80,
        "width": 100,
        "detection": {"instances": list(instances)},
        **more,
    }


def instance(label: Any = 0, category: Any = "cat", bbox: Any = BOX) -> dict[str, Any]:
    return {"bbox": bbox, "label": label, "category": category}


def grounding(caption: Any, *regions: Any, filename: str = "a.png", **more: Any) -> dict[str, Any]:
    content = {"caption": caption, "regions": list(regions), **more}
    return {"filename": filename, "height": 80, "width": 100, "grounding": content}


def region(*spans: Any, bbox: Any = BOX) -> dict[str, Any]:
    return {"bbox": bbox, "phrase": "only shown", "tokens_positive": list(spans)}


def take(store: Store, tmp_path: Path, *lines: Any, names: Any = NAMES, file: str = "labels.jsonl") -> ImportReport:
    """Import lines, each a value or the text of the line itself, beside a.png and b.png."""
    paint(tmp_path / "in" / "a.png", 1)
    paint(tmp_path / "in" / "b.png", 2)
    if names is not None:
        write_json(tmp_path / "in" / "label_map.json", names)
    text = "\n".join(line if isinstance(line, str) else json.dumps(line) for line in lines) + "\n"
    return import_path(store, "pets", write(tmp_path / "in" / file, text))


def labelled(store: Store) -> list[Any]:
    with store.reading() as session:
        return labelled_images(session, dataset_by_name(session, "pets").id)


def texts(store: Store) -> list[CaptionText]:
    with store.reading() as session:
        images = captioned_images(session, dataset_by_name(session, "pets").id)
        return [caption for image in images for caption in image.captions]


def class_names(store: Store) -> list[str]:
    with store.reading() as session:
        return [row.name for row in categories(session, dataset_by_name(session, "pets").id)]


def reasons(report: ImportReport) -> list[str]:
    return [f"{skipped.what}: {skipped.reason}" for skipped in report.skipped]


def test_boxes_of_a_detection_line_become_annotations(store: Store, tmp_path: Path) -> None:
    lines = detection(instance(), instance(1, "dog", [1.5, 2, 9, 12])), detection(filename="b.png")
    report = take(store, tmp_path, *lines)
    assert (report.images, report.annotations, report.categories, report.captions) == (2, 2, 2, 0)
    assert report.skipped == []
    first, second = labelled(store)
    assert first.boxes_xyxy.tolist() == [[10, 20, 30, 40], [1.5, 2, 9, 12]]
    assert (second.file_name, len(second.boxes_xyxy)) == ("b.png", 0)  # a line without instances: nothing is there


def test_without_a_label_map_the_category_names_count(store: Store, tmp_path: Path) -> None:
    lines = detection(instance(7, "zebra"), instance(2, "ant")), detection(instance(9, "bee"), filename="b.png")
    assert take(store, tmp_path, *lines, names=None).annotations == 3
    assert class_names(store) == ["ant", "zebra", "bee"]  # in the order of their labels
    with store.reading() as session:
        pictures = labelled_images(session, 1)
        named = {row.id: row.name for row in categories(session, 1)}
        assert [named[int(number)] for number in pictures[0].category_ids] == ["zebra", "ant"]


def test_a_label_map_may_be_a_list_and_labels_may_be_text(store: Store, tmp_path: Path) -> None:
    box = {"bbox": BOX, "label": "1"}
    assert take(store, tmp_path, detection(box), names=["cat", "dog"]).annotations == 1
    assert class_names(store) == ["cat", "dog"]


@pytest.mark.parametrize(
    ("maps", "names"),
    [
        (["o365_label_map.json", "coco_label_map.json"], ["o365_label_map.json"]),
        (["label_map.json", "o365_label_map.json"], ["o365_label_map.json"]),
        (["label_map.json", "coco_label_map.json"], ["label_map.json"]),
    ],
)
def test_the_label_map_that_fits_the_name_is_used(
    store: Store, tmp_path: Path, maps: list[str], names: list[str]
) -> None:
    for name in maps:
        write_json(tmp_path / "in" / name, {"0": name})
    take(store, tmp_path, detection({"bbox": BOX, "label": 0}), names=None, file="o365_train_od.jsonl")
    assert class_names(store) == names
    assert labelled(store)[0].split == "train"


def test_several_label_maps_that_may_be_meant_are_refused(store: Store, tmp_path: Path) -> None:
    for name in ("a_label_map.json", "b_label_map.json"):
        write_json(tmp_path / "in" / name, NAMES)
    with pytest.raises(ImportRefused, match=r"Is 'a_label_map\.json' or .* Name it labels_label_map\.json\.$"):
        take(store, tmp_path, detection(), names=None)


@pytest.mark.parametrize(
    ("names", "reason"),
    [
        ({"0": 1}, "is no label map"),
        ({"cat": "0"}, "has a label that is no number"),
        ("cat", "is no label map"),
    ],
)
def test_a_broken_label_map_is_refused_in_one_line(store: Store, tmp_path: Path, names: Any, reason: str) -> None:
    with pytest.raises(ImportRefused, match=reason) as refused:
        take(store, tmp_path, detection(instance()), names=names)
    assert "\n" not in str(refused.value)
    (tmp_path / "in" / "label_map.json").write_text("{", encoding="utf-8")
    with pytest.raises(ImportRefused, match=r"label_map\.json is not valid JSON"):
        import_path(store, "pets", tmp_path / "in" / "labels.jsonl")


def test_phrases_become_a_caption_with_their_boxes(store: Store, tmp_path: Path) -> None:
    line = grounding("Two cats and a dog.", region([0, 8], bbox=[BOX, [50, 20, 70, 40]]), region([13, 18]))
    report = take(store, tmp_path, line, names=None)
    assert (report.images, report.annotations, report.captions, report.categories) == (1, 0, 1, 0)
    caption = texts(store)[0]
    assert (caption.text, caption.kind) == ("Two cats and a dog.", "caption")
    assert [phrase.spans for phrase in caption.phrases] == [((0, 8),), ((13, 18),)]
    assert caption.phrases[0].boxes_xyxy.tolist() == [BOX, [50, 20, 70, 40]]
    assert labelled(store) == []  # a text does not say that all else is absent


def test_regions_about_the_same_words_are_one_phrase(store: Store, tmp_path: Path) -> None:
    line = grounding(
        "two cats sleep", region([4, 8], [0, 3]), region([0, 3], [4, 8], bbox=[1, 2, 9, 9]), region([0, 3], [4, 8])
    )
    take(store, tmp_path, line)
    (phrase,) = texts(store)[0].phrases
    assert phrase.spans == ((0, 3), (4, 8))
    assert phrase.boxes_xyxy.tolist() == [BOX, [1, 2, 9, 9]]


@pytest.mark.parametrize(
    ("line", "kind", "boxes"),
    [
        (grounding("the left cat", region([0, 12])), "expression", 1),
        (grounding("the left cat.", region([0, 3], [4, 8], [9, 12])), "expression", 1),
        (grounding("both cats", region([0, 9], bbox=[BOX, [50, 20, 70, 40]])), "expression", 2),
        (grounding("both cats", region([0, 9]), region([0, 9], bbox=[50, 20, 70, 40])), "expression", 2),
        (grounding("the left cat", {"bbox": BOX}, expression=True), "expression", 1),
        (grounding("the left cat", region([9, 12]), expression=True), "expression", 1),
        (grounding("the horse", expression=True), "expression", 0),
        (grounding("the left cat", region([0, 12]), expression=False), "caption", 1),
        (grounding("the left cat", region([9, 12])), "caption", 1),
    ],
)
def test_a_line_whose_regions_are_about_all_its_words_is_an_expression(
    store: Store, tmp_path: Path, line: Any, kind: str, boxes: int
) -> None:
    report = take(store, tmp_path, line)
    assert (report.captions, report.skipped) == (1, [])
    caption = texts(store)[0]
    assert caption.kind == kind
    assert sum(len(phrase.boxes_xyxy) for phrase in caption.phrases) == boxes


def test_phrases_without_spans_are_looked_for_in_the_caption(store: Store, tmp_path: Path) -> None:
    regions = [{"bbox": BOX, "phrase": "A wire hanger"}, {"bbox": BOX, "phrase": ["a", "cover"]}]
    take(
        store,
        tmp_path,
        grounding("a wire hanger with paper cover, hangers", regions[0]),
        grounding("a cover", regions[1]),
    )
    assert [[phrase.spans for phrase in text.phrases] for text in texts(store)] == [[((0, 13),)], [((0, 7),)]]


def test_boxes_and_texts_of_one_picture_come_together_from_several_lines(store: Store, tmp_path: Path) -> None:
    both = {**detection(instance()), **{"grounding": grounding("a cat here", region([0, 5]))["grounding"]}}
    report = take(store, tmp_path, grounding("the cat", region([0, 7])), both, grounding("the horse", expression=True))
    assert (report.images, report.annotations, report.captions, report.skipped) == (1, 1, 3, [])
    assert [text.text for text in texts(store)] == ["the cat", "a cat here", "the horse"]
    assert len(labelled(store)) == 1


def test_the_size_counts_whichever_line_says_it(store: Store, tmp_path: Path) -> None:
    sideways = detection(instance(), width=80, height=100)
    report = take(store, tmp_path, {"filename": "a.png", "grounding": GOOD["grounding"]}, sideways)
    assert (report.images, report.annotations, report.captions) == (1, 0, 0)
    assert "made on the image lying on its side" in reasons(report)[0]


def test_importing_again_adds_nothing_and_importing_more_adds_the_rest(store: Store, tmp_path: Path) -> None:
    lines = [detection(instance()), grounding("the cat", region([0, 7])), grounding("a cat, big", region([0, 5]))]
    take(store, tmp_path, *lines)
    again = take(store, tmp_path, *lines)
    assert (again.images, again.annotations, again.captions, again.known, again.skipped) == (0, 0, 0, 1, [])
    more = take(store, tmp_path, *lines, grounding("the dog", expression=True))
    assert (more.images, more.annotations, more.captions) == (0, 0, 1)
    assert [text.text for text in texts(store)] == ["the cat", "a cat, big", "the dog"]
    assert len(labelled(store)[0].boxes_xyxy) == 1


def test_texts_come_to_pictures_that_have_boxes_already(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "in" / "a.png", 1)
    document = coco([coco_image(1, "a.png")], [coco_box(1, 1, 7, 0, 0, 9, 9)], [{"id": 7, "name": "cat"}])
    import_path(store, "pets", write_json(tmp_path / "in" / "labels.json", document))
    report = take(store, tmp_path, detection(instance(), instance(1, "dog")), grounding("the cat", region([0, 7])))
    assert (report.annotations, report.captions, report.known) == (0, 1, 1)
    assert len(labelled(store)[0].boxes_xyxy) == 1  # a person's labels stay as they are


GOOD = grounding("the cat", region([0, 7]))


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"filename": "a.png", "detection"', r"labels\.jsonl: line 2: it is not valid JSON \("),
        ("[1, 2]", r"line 2: it is \[1, 2\], not an object"),
        ("[" * 100_000, "line 2: it is nested too deeply"),
        ('{"filename": ' + "9" * 5000 + "}", "line 2: it is not valid JSON"),
        (json.dumps(detection(instance(bbox=[1, 2, float("nan"), 4]))), "line 2: it is not valid JSON .NaN is not"),
        (json.dumps(detection(instance(bbox=[1, 2, float("inf"), 4]))), "line 2: it is not valid JSON .Infinity"),
        (json.dumps(detection(instance(bbox=[1, 2, 3, 4]))).replace("4]", "1e400]"), "box 1: A box holds four finite"),
        ("x" * (MAX_LINE_BYTES + 10), "line 2: it has more than 16,777,216 bytes"),
        (GOOD, "line 2: it repeats line 1"),
        ({**GOOD, "source": "other"}, r"a\.png: line 2 \(the cat\): another line says the same of this image"),
        ({"detection": {"instances": []}}, "line 2: its filename None does not stay"),
        (detection(filename="../a.png"), "line 2: its filename '../a.png' does not stay within the images folder"),
        (detection(filename="/etc/a.png"), "line 2: its filename '/etc/a.png' does not stay"),
        ({"filename": "a.png"}, "line 2: it has neither detection nor grounding"),
        (detection(filename="gone.png"), r"gone\.png: the file is missing"),
        (detection(instance(), width=80, height=100, filename="b.png"), r"b\.png: labels left out: .* on its side"),
        (detection(instance(), width=50), "line 2: it says 50 x 80 px, a line before it another size of a.png"),
        ({**GOOD, "detection": []}, "line 2: its detection has no list of instances"),
        (detection("cat"), "line 2, box 1: it is 'cat', not an object"),
        (detection(instance(9, None)), "line 2, box 1: its label 9 is not in the label map"),
        (detection(instance(9, "cow")), "line 2, box 1: its label 9 is not in the label map"),
        (detection(instance(True, None)), "line 2, box 1: its label True is not in the label map"),
        (detection(instance(0, "dog")), "box 1: its label 0 is 'cat' in the label map, its category says 'dog'"),
        (detection(instance(bbox=[30, 40, 10, 20])), r"a\.png: line 2, box 1 \(cat\): the box .* has no area"),
        (detection(instance(bbox=[200, 1, 300, 9])), r"line 2, box 1 \(cat\): the box .* covers less than 1 px"),
        (detection(instance(bbox=[1, 2, 3])), "line 2, box 1: A box is"),
        (detection(instance(bbox=["1", 2, 3, 4])), "line 2, box 1: A box holds four finite numbers"),
        (grounding(5, region([0, 7])), "line 2: grounding left out: it has no caption that is text"),
        (grounding("", region([0, 7])), "grounding left out: region 1: its span .* is not within the 0 characters"),
        (grounding("  ", region([0, 2])), r"a\.png: line 2 \(  \): The caption is empty"),
        (grounding("a cat"), "it has no region; add \"expression\": true when it means nothing"),
        (grounding("a cat", expression=1), "its expression is 1, not true or false"),
        (grounding("a cat", "cat"), "region 1 is 'cat', not an object"),
        (grounding("a cat", region([0, 99])), r"region 1: its span \[0, 99\] is not within the 5 characters"),
        (grounding("a cat", region([-2, 3])), r"region 1: its span \[-2, 3\] is not within"),
        (grounding("a cat", region([3, 1])), r"region 1: its span \[3, 1\] is reversed or empty"),
        (grounding("a cat", region([2, 2])), r"region 1: its span \[2, 2\] is reversed or empty"),
        (grounding("a cat", region([0, 3], [2, 5])), r"region 1: its span \[2, 5\] overlaps the one before it"),
        (grounding("a cat", region([0, 1.5])), r"region 1: its span \[0, 1.5\] is not \[start, end\] in whole numbers"),
        (grounding("a cat", region(7)), "region 1: its span 7 is not"),
        (grounding("a cat", region()), r"region 1: its tokens_positive are \[\], not a list"),
        (grounding("a cat", region([1, 2])), r"a\.png: line 2 \(a cat\): The span \[1, 2\) marks no word"),
        (grounding("a cat", {"bbox": BOX}), "region 1: it has neither tokens_positive nor a phrase"),
        (grounding("a cat, a cat", {"bbox": BOX, "phrase": "cat"}), "its phrase 'cat' stands 2 times in the caption"),
        (grounding("a cat", {"bbox": BOX, "phrase": "dog"}), "its phrase 'dog' stands 0 times in the caption"),
        (grounding("a cat", region([2, 5], bbox=[])), r"region 1: A box is \[x1, y1, x2, y2\]"),
        (grounding("a cat", region([2, 5], bbox=[30, 20, 10, 40])), r"line 2 \(a cat\): the box .* has no area"),
        (grounding("a cat", region([2, 5]), region([0, 1], bbox=[500, 1, 600, 9])), "covers less than 1 px"),
        (grounding("x" * 10_001, region([0, 5])), "has 10001 characters; 10000 is the most"),
        (grounding("a \ud800 cat", region([0, 1])), "holds a line break or control character"),
    ],
)  # fmt: skip
def test_a_bad_line_is_told_in_one_line_and_nothing_of_it_goes_in(
    store: Store, tmp_path: Path, line: Any, reason: str
) -> None:
    report = take(store, tmp_path, GOOD, line)
    told = reasons(report)
    assert len(told) == 1
    assert "\n" not in told[0] and len(told[0]) < 300
    assert re.search(reason, told[0]), told[0]
    assert report.annotations == 0
    assert [text.text for text in texts(store)] == ["the cat"]
    assert store.check() == []


def test_lines_after_a_huge_one_keep_their_numbers_and_go_in(store: Store, tmp_path: Path) -> None:
    report = take(store, tmp_path, "x" * (2 * MAX_LINE_BYTES), GOOD, "", "{", detection(instance()))
    assert [told.partition(": it")[0] for told in reasons(report)] == ["labels.jsonl: line 1", "labels.jsonl: line 4"]
    assert (report.captions, report.annotations) == (1, 1)


def test_boxes_that_reach_over_the_edge_are_cut_and_told(store: Store, tmp_path: Path) -> None:
    report = take(
        store,
        tmp_path,
        detection(instance(bbox=[-5, 1, 20, 9])),
        grounding("a cat", region([0, 5], bbox=[90, 1, 120, 9])),
    )
    assert [clip.reason for clip in report.clipped] == [
        "the box reached 5.0 px beyond the image and was cut",
        "the box reached 20.0 px beyond the image and was cut",
    ]
    assert texts(store)[0].phrases[0].boxes_xyxy.tolist() == [[90, 1, 100, 9]]


def test_line_breaks_in_a_caption_become_spaces_and_spans_stay_right(store: Store, tmp_path: Path) -> None:
    take(store, tmp_path, grounding("a\tbig\ncat\n", region([0, 9])))
    assert texts(store)[0].text == "a big cat "


@pytest.mark.parametrize("text", ["", "\n\n", "{", "[]\n{}\n", "\xff\xfe"])
def test_a_file_without_any_good_line_is_refused_in_one_line(store: Store, tmp_path: Path, text: str) -> None:
    path = write(tmp_path / "in" / "labels.jsonl", text)
    with pytest.raises(ImportRefused, match=r"^No line of 'labels\.jsonl' is ODVG") as refused:
        import_path(store, "pets", path)
    assert "\n" not in str(refused.value)
    with store.reading() as session:
        assert images_page(session, 1).total == 0


def test_a_missing_file_is_refused(store: Store, tmp_path: Path) -> None:
    with pytest.raises(ImportRefused, match="There is nothing at"):
        import_path(store, "pets", tmp_path / "gone.jsonl")
    with pytest.raises(ImportRefused, match="No ODVG file"):
        import_path(store, "pets", tmp_path, format="odvg")


def test_odvg_is_recognised_by_its_name_or_by_its_first_line(tmp_path: Path) -> None:
    line = json.dumps(GOOD) + "\n"
    assert detect_format(write(tmp_path / "a.jsonl", "{")) == "odvg"
    assert detect_format(write(tmp_path / "b.json", line + line)) == "odvg"  # as MMDetection's tools call it
    assert detect_format(write(tmp_path / "c.json", "{}")) == "coco"
    write(tmp_path / "logs" / "events.jsonl", '{"step": 1}\n')
    assert detect_format(tmp_path / "logs") == "images"
    write(tmp_path / "logs" / "annotations" / "flickr_train_vg.json", line)
    assert detect_format(tmp_path / "logs") == "odvg"


def test_files_of_several_splits_are_told_apart(store: Store, tmp_path: Path) -> None:
    for shade, split in enumerate(["train", "val"]):
        paint(tmp_path / "in" / "images" / f"{split}.png", shade * 50)
        line = json.dumps(grounding("a cat, big", region([0, 5]), filename=f"{split}.png"))
        write(tmp_path / "in" / f"flickr_{split}_vg.jsonl", line)
    assert import_path(store, "pets", tmp_path / "in").captions == 2
    with store.reading() as session:
        found = captioned_images(session, 1)
        assert [(image.file_name, image.split) for image in found] == [("train.png", "train"), ("val.png", "val")]
    only = import_path(store, "only val", tmp_path / "in", split="val")
    assert (only.images, only.captions) == (1, 1)


def test_the_images_folder_can_be_given(store: Store, tmp_path: Path) -> None:
    paint(tmp_path / "far" / "a.png")
    labels = write(tmp_path / "in" / "labels.jsonl", json.dumps(GOOD))
    assert import_path(store, "pets", labels, images_dir=tmp_path / "far").captions == 1


def test_real_referring_expressions_go_in_with_and_without_a_target(store: Store, tmp_path: Path) -> None:
    rows = json.loads((real_data("refcocos") / "derived" / "refs_dev_coco128val.json").read_text(encoding="utf-8"))
    lines = []
    for row in rows:
        size = {"filename": row["file_name"], "height": row["height"], "width": row["width"]}
        text, box = row["normal_caption"], row["solution"]
        regions = [] if box is None else [{"bbox": box, "phrase": text, "tokens_positive": [[0, len(text)]]}]
        said = {"expression": True} if box is None else {}
        lines.append({**size, "grounding": {"caption": text, "regions": regions, **said}})
    file = write(tmp_path / "refs.jsonl", "\n".join(map(json.dumps, lines)))
    photos = real_data("coco128") / "images" / "val2017"
    report = import_path(store, "refs", file, images_dir=photos)
    assert (report.captions, report.skipped) == (25, [])
    with store.reading() as session:
        images = captioned_images(session, 1)
    found = {(image.file_name, text.text): text for image in images for text in image.captions}
    assert sum(not text.phrases for text in found.values()) == 5
    for row in rows:
        text = found[row["file_name"], row["normal_caption"]]
        assert text.kind == "expression"
        if row["solution"] is not None:
            np.testing.assert_allclose(text.phrases[0].boxes_xyxy, [row["solution"]], atol=0.001)
    assert import_path(store, "refs", file, images_dir=photos).captions == 0
