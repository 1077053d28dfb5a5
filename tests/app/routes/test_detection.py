"""Detection jobs and masks over HTTP."""

import pytest

from tests.app.workbench import Bench


@pytest.mark.parametrize("prompt", ["", "   ", ".", "...", "?!", "cat. cat.", "\n"])
def test_a_prompt_that_says_nothing_is_refused_in_one_line(bench: Bench, prompt: str) -> None:
    body = {"prompt": prompt, "image_ids": "all", "masks": False}
    answer = bench.client.post(f"/api/datasets/{bench.dataset_id}/detect", body)
    assert (answer.status, list(answer.json())) == (422, ["error"])
    assert "\n" not in answer.json()["error"]


@pytest.mark.parametrize(
    "body",
    [
        {"prompt": "cat.", "image_ids": "some"},
        {"prompt": "cat.", "image_ids": [0]},
        {"prompt": "cat.", "image_ids": [1e30]},
        {"prompt": 7, "image_ids": "all"},
        {"image_ids": "all"},
        {"prompt": "x" * 50_001, "image_ids": "all"},
        [],
    ],
)
def test_a_malformed_detection_is_refused(bench: Bench, body: object) -> None:
    assert bench.client.post(f"/api/datasets/{bench.dataset_id}/detect", body).status == 422


@pytest.mark.parametrize("task", ["ground", "refer"])
@pytest.mark.parametrize(
    "prompt", ["", " \n ", "...", "?!", "a \0 cat", "a \ud800 cat", "the " + "old " * 30 + "large cat"]
)
def test_a_text_that_means_nothing_is_refused_in_one_line(bench: Bench, task: str, prompt: str) -> None:
    body = {"prompt": prompt, "image_ids": "all", "task": task}
    answer = bench.client.post(f"/api/datasets/{bench.dataset_id}/detect", body)
    assert (answer.status, list(answer.json())) == (422, ["error"])
    assert "\n" not in answer.json()["error"]


def test_a_way_of_asking_that_is_not_there_is_named(bench: Bench) -> None:
    body = {"prompt": "cat", "image_ids": "all", "task": "guess"}
    answer = bench.client.post(f"/api/datasets/{bench.dataset_id}/detect", body)
    assert answer.status == 422
    assert answer.json()["error"] == "task: Input should be 'detect', 'ground' or 'refer'."


@pytest.mark.parametrize("job", ["x", "1", "00000000-0000-0000-0000-000000000000", "../status"])
def test_a_job_that_is_not_there_answers_404_or_422(bench: Bench, job: str) -> None:
    for answer in (bench.client.get(f"/api/jobs/{job}"), bench.client.post(f"/api/jobs/{job}/stop", {})):
        assert answer.status in (404, 422)
        assert list(answer.json()) == ["error"]


def test_a_box_gets_a_mask_of_the_image_s_size(bench: Bench) -> None:
    answer = bench.client.post(f"/api/images/{bench.image_ids[0]}/segment", {"boxes": [[5, 5, 20, 20]]})
    assert answer.status == 200, answer.body
    (mask,) = answer.json()["masks"]
    assert mask["size"] == [30, 40]
    assert isinstance(mask["counts"], str)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"boxes": []},
        {"boxes": [[1, 2, 3]]},
        {"points": [[1, 1]]},
        {"points": [[1, 1]], "labels": [1, 0]},
        {"points": [[1, 1]], "labels": [2]},
        b'{"boxes": [[0, 0, NaN, 5]]}',
        b'{"boxes": [[0, 0, 1e999, 5]]}',
        {"boxes": [[0, 0, 1, 1]] * 1001},
        {"boxes": "all"},
    ],
)
def test_nonsense_is_not_segmented(bench: Bench, body: object) -> None:
    answer = bench.client.post(f"/api/images/{bench.image_ids[0]}/segment", body)
    assert (answer.status, list(answer.json())) == (422, ["error"])


def test_masks_of_no_image_are_not_found(bench: Bench) -> None:
    assert bench.client.post("/api/images/999/segment", {"boxes": [[0, 0, 5, 5]]}).status == 404
