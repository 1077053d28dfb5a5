import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from tests.training.metrics.readers.layouts import (
    CAPTION,
    COCO,
    D3,
    D3_GROUPS,
    FLICKR,
    LVIS,
    referring,
    write,
)
from training.errors import LayoutRefused
from training.metrics import FederatedCategory, Sentence
from training.metrics.readers import (
    ImageFile,
    read_coco,
    read_d3,
    read_flickr,
    read_grefcoco,
    read_lvis,
    read_odinw,
    read_refcoco,
)

ROOT = Path(__file__).resolve().parents[4]


def test_coco_gives_every_image_with_places_instead_of_ids(tmp_path: Path) -> None:
    found = read_coco(write(tmp_path / "instances_val2017.json", COCO))
    assert (found.name, found.names) == ("instances_val2017", ("toothbrush", "person"))
    first, empty = found.samples
    assert first.image == ImageFile("a.jpg", 100, 80)
    assert first.labels.boxes_xyxy.tolist() == [[10, 20, 40, 60], [0, 0, 100, 80]]
    assert first.labels.classes.tolist() == [0, 1]
    assert first.labels.crowd is not None and first.labels.crowd.tolist() == [False, True]
    assert first.labels.areas_px is not None and first.labels.areas_px.tolist() == [700.5, 8000]
    assert empty.labels.boxes_xyxy.shape == (0, 4)
    with pytest.raises(FrozenInstanceError):
        first.image.width = 3  # type: ignore[misc]


def test_a_box_that_sticks_out_or_has_no_size_is_kept_as_published(tmp_path: Path) -> None:
    boxes = [[90, 70, 20, 20], [10, 10, 0, 5]]
    rows = [{"image_id": 7, "category_id": 1, "bbox": box} for box in boxes]
    found = read_coco(write(tmp_path / "a.json", COCO | {"annotations": rows})).samples[0].labels
    assert found.boxes_xyxy.tolist() == [[90, 70, 110, 90], [10, 10, 10, 15]]
    assert found.areas_px is not None and found.areas_px.tolist() == [400, 0]  # none given: that of the box


def test_lvis_gives_what_an_image_says_nothing_about(tmp_path: Path) -> None:
    found = read_lvis(write(tmp_path / "lvis_v1_val.json", LVIS))
    assert found.categories == (FederatedCategory("bow_(weapon)", "c"), FederatedCategory("yak", "r"))
    (sample,) = found.samples
    assert sample.image.file_name == "val2017/000000000005.jpg"  # from its address: v1 has no file_name
    assert sample.labels.absent == {1}
    assert sample.labels.not_exhaustive == {0}
    assert sample.labels.labels.classes.tolist() == [0]


def test_odinw_names_each_dataset_by_its_folders(tmp_path: Path) -> None:
    for folder in (
        "Raccoon/Raccoon.v2-raw.coco/valid",
        "EgoHands/generic/valid",
        "EgoHands/specific/valid",
        "EgoHands/generic/train",
    ):
        write(tmp_path / folder / "annotations_without_background.json", COCO)
        write(tmp_path / folder / "new_annotations_without_background.json", COCO)
    for split in ("train", "val"):
        write(tmp_path / f"pistols/export/{split}_annotations_without_background.json", COCO)
    found = {dataset.name: dataset for dataset in read_odinw(tmp_path)}
    assert set(found) == {"Raccoon", "EgoHands/generic", "EgoHands/specific", "pistols"}
    assert found["EgoHands/generic"].images_dir == tmp_path / "EgoHands/generic/valid"
    assert found["pistols"].names == ("toothbrush", "person")
    assert [dataset.name for dataset in read_odinw(tmp_path, "train")] == ["EgoHands/generic", "pistols"]


def test_odinw_reads_a_list_of_files(tmp_path: Path) -> None:
    files = [write(tmp_path / f"{name}/valid/any.json", COCO) for name in ("pothole", "PascalVOC")]
    assert [dataset.name for dataset in read_odinw(files)] == ["pothole", "PascalVOC"]
    assert [dataset.name for dataset in read_odinw(files[:1])] == ["pothole"]
    assert list(read_odinw([])) == []


def test_odinw_refuses_a_folder_without_datasets(tmp_path: Path) -> None:
    with pytest.raises(LayoutRefused, match=r"There is no annotations_without_background\.json of split 'valid'"):
        list(read_odinw(tmp_path))


def test_flickr_gives_each_phrase_the_boxes_that_carry_its_span(tmp_path: Path) -> None:
    (sample,) = read_flickr(write(tmp_path / "final_flickr_separateGT_val.json", FLICKR))
    assert sample.image == ImageFile("36979.jpg", 100, 80)  # its sizes are text in the file
    assert sample.caption == CAPTION
    assert [CAPTION[start:end] for ((start, end),) in sample.spans] == ["Two men", "a dog"]
    men, dog = sample.labels.boxes_xyxy
    assert men.tolist() == [[1, 1, 21, 41], [30, 1, 50, 41]]
    assert dog.tolist() == [[60, 40, 80, 60]]
    assert sample.labels.types is None


def test_flickr_takes_phrase_types_where_they_are_given(tmp_path: Path) -> None:
    typed = FLICKR | {"images": [FLICKR["images"][0] | {"phrase_types": [["people"], ["animals", "other"]]}]}
    (sample,) = read_flickr(write(tmp_path / "a.json", typed))
    assert sample.labels.types == (("people",), ("animals", "other"))


def test_refcoco_gives_an_expression_with_its_box_and_split(tmp_path: Path) -> None:
    path = write(tmp_path / "finetune_refcoco+_testA.json", referring([[1, 2, 3, 4]], dataset="refcoco+"))
    (sample,) = read_refcoco(path)
    assert (sample.expression, sample.split) == ("thing 0 on the left", "refcoco+ testA")
    assert sample.boxes_xyxy.tolist() == [[1, 2, 4, 6]]


def test_grefcoco_gives_several_boxes_one_or_none(tmp_path: Path) -> None:
    boxes = [[1.0, 2, 3, 4], [5.0, 6, 7, 8]]
    path = write(tmp_path / "finetune_grefcoco_val.json", referring(boxes, boxes[:1], [], dataset="grefcoco"))
    assert [len(sample.boxes_xyxy) for sample in read_grefcoco(path)] == [2, 1, 0]
    with pytest.raises(LayoutRefused, match=r"images\[0\] has 2 boxes, not one. Read a file of gRefCOCO as grefcoco"):
        read_refcoco(path)


def test_d3_asks_an_image_for_the_sentences_of_its_group_alone(tmp_path: Path) -> None:
    path = write(tmp_path / "d3_full_annotations.json", D3)
    write(tmp_path / "groups.json", D3_GROUPS)
    write(tmp_path / "d3_abs_annotations.json", D3 | {"annotations": [], "categories": D3["categories"][1:2]})
    found = read_d3(path)
    assert found.sentences == (
        Sentence("a red hat", absence=False),
        Sentence("a dog without a leash", absence=True),
        Sentence("a man on a horse", absence=False),
    )
    assert [sample.group for sample in found.samples] == [{0}, {1, 2}]
    assert found.samples[0].labels.classes.tolist() == [0]  # the man belongs to another scenario
    inter = read_d3(path, "inter")
    assert inter.samples[0].labels.classes.tolist() == [0, 2]
    assert inter.samples[0].group == {0, 1, 2}


def test_d3_reads_groups_and_sentences_of_one_file(tmp_path: Path) -> None:
    sentences = [{"id": i, "raw_sent": "any", "is_negative": i == 2} for i in (1, 2, 3)]
    path = write(tmp_path / "d3.json", D3 | {"groups": list(D3_GROUPS.values()), "sentences": sentences})
    found = read_d3(path)
    assert [sentence.absence for sentence in found.sentences] == [False, True, False]
    assert [sample.group for sample in found.samples] == [{0}, {1, 2}]


def test_d3_of_absence_alone_leaves_the_other_sentences_out(tmp_path: Path) -> None:
    only = D3 | {"annotations": D3["annotations"][2:], "categories": D3["categories"][1:2]}
    path = write(tmp_path / "d3_abs_annotations.json", only)
    write(tmp_path / "groups.json", D3_GROUPS)
    found = read_d3(path)
    assert found.sentences == (Sentence("a dog without a leash", absence=True),)
    assert [sample.group for sample in found.samples] == [frozenset(), {0}]


def test_d3_without_groups_says_what_to_do(tmp_path: Path) -> None:
    path = write(tmp_path / "d3_full_annotations.json", D3)
    with pytest.raises(LayoutRefused, match=r"Put groups.json beside it, a list of .* or ask for the inter setting"):
        read_d3(path)
    write(tmp_path / "groups.json", [D3_GROUPS["1"]])
    with pytest.raises(LayoutRefused, match=r"images\[1\] \(id 1\) is in no group"):
        read_d3(path)


def test_readers_and_metrics_can_be_imported_without_torch() -> None:
    code = (
        "import training.metrics, training.metrics.readers, training.metrics.benchmarks, sys; "
        "print([name for name in ('torch', 'transformers', 'sqlalchemy', 'supervision') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
