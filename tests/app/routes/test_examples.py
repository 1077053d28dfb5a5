"""The examples over HTTP."""

import pytest

from tests.app.workbench import Bench


def test_every_example_has_a_picture_and_a_question(bench: Bench) -> None:
    listed = bench.client.get("/api/examples").json()["examples"]
    assert len(listed) == 6
    assert {example["task"] for example in listed} == {"detect", "ground", "refer"}
    for example in listed:
        assert example["title"] and example["prompt"]
        picture = bench.client.get(f"/api/examples/{example['file']}")
        assert (picture.status, picture.headers["content-type"]) == (200, "image/jpeg")


def test_the_examples_become_one_dataset_however_often_they_are_opened(bench: Bench) -> None:
    first = bench.client.post("/api/datasets/examples", {}).json()
    assert bench.client.post("/api/datasets/examples", {}).json() == first
    listed = bench.client.get("/api/examples").json()["examples"]
    assert set(first["image_ids"]) == {example["file"] for example in listed}
    rows = bench.client.get(f"/api/datasets/{first['dataset_id']}/images").json()
    assert {row["id"] for row in rows["items"]} == set(first["image_ids"].values())


@pytest.mark.parametrize("name", ["../examples.json", "examples.json", "..", "%2e%2e", "nothing.jpg", "scenes"])
def test_no_other_file_is_an_example(bench: Bench, name: str) -> None:
    assert bench.client.get(f"/api/examples/{name}").status == 404
