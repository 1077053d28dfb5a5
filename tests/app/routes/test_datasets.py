"""Datasets, image lists and categories over HTTP."""

from typing import Any

import pytest

from tests.app.workbench import Bench

HOSTILE_NAMES = [
    "${alert(1)}",
    "{{value}}",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "yes",
    "null",
    "a/b",
    "../../etc/passwd",
    "C:\\users\\x",
    "50% ${",
    "`backtick`",
    "'; DROP TABLE category; --",
    "汉字 ümlaut",
    "🦘 kangaroo",
    "\u202egnp.exe",
    "x" * 100,
]


def test_datasets_come_with_their_counts(bench: Bench) -> None:
    (row,) = bench.client.get("/api/datasets").json()["datasets"]
    assert row == {
        "id": bench.dataset_id, "name": "fruit", "images": 2, "done": 0, "annotations": 0, "pending": 0, "prompt": None
    }  # fmt: skip


def test_images_come_in_pages(bench: Bench) -> None:
    page = bench.client.get(f"/api/datasets/{bench.dataset_id}/images", offset=1, limit=1, filter="new").json()
    assert page["total"] == 2
    assert [row["file_name"] for row in page["items"]] == ["1.png"]
    found = bench.client.get(f"/api/datasets/{bench.dataset_id}/images", search="0.P").json()
    assert [row["file_name"] for row in found["items"]] == ["0.png"]


@pytest.mark.parametrize(
    "query", [{"offset": -1}, {"limit": 0}, {"limit": 501}, {"filter": "drop"}, {"offset": "x"}, {"search": "x" * 201}]
)
def test_a_wrong_page_is_refused_in_one_line(bench: Bench, query: dict[str, Any]) -> None:
    answer = bench.client.get(f"/api/datasets/{bench.dataset_id}/images", **query)
    assert answer.status == 422
    assert set(answer.json()) == {"error"}
    assert "\n" not in answer.json()["error"]


def test_a_body_that_is_no_json_is_said_to_be_none(bench: Bench) -> None:
    answer = bench.client.send("POST", "/api/datasets", b"{broken")
    assert answer.status == 422
    assert answer.json()["error"].startswith("The body of the request is not JSON (")


def test_names_come_back_as_they_were_typed(bench: Bench) -> None:
    for name in HOSTILE_NAMES:
        made = bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": name})
        assert (made.status, made.headers["content-type"]) == (200, "application/json"), made.body
        assert made.json()["name"] == name
        assert bench.client.post("/api/datasets", {"name": name}).status == 200
    listed = bench.client.get(f"/api/datasets/{bench.dataset_id}/categories").json()["categories"]
    shapes = bench.client.get(f"/api/images/{bench.image_ids[0]}/shapes").json()
    assert [row["name"] for row in listed] == [row["name"] for row in shapes["categories"]] == HOSTILE_NAMES
    datasets = bench.client.get("/api/datasets").json()["datasets"]
    assert {row["name"] for row in datasets} == {"fruit", *HOSTILE_NAMES}


def test_a_name_that_cannot_be_kept_is_refused_and_nothing_is_made(bench: Bench) -> None:
    for name in ("", "   ", "two\nlines", "x" * 101, "x" * 300, "nul\0", "\ud800"):
        for path in (f"/api/datasets/{bench.dataset_id}/categories", "/api/datasets"):
            answer = bench.client.post(path, {"name": name})
            assert answer.status == 422, (name, answer.body)
            assert answer.json()["error"].count("\n") == 0
    assert bench.client.get(f"/api/datasets/{bench.dataset_id}/categories").json() == {"categories": []}
    assert len(bench.client.get("/api/datasets").json()["datasets"]) == 1


def test_a_category_without_a_word_to_look_for_is_not_described_so(bench: Bench) -> None:
    answer = bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": "dog", "phrases": ["..."]})
    assert answer.status == 422
    assert answer.json()["error"] == "Category 'dog' has no letter or digit to look for. Describe it in words."
    assert bench.client.get(f"/api/datasets/{bench.dataset_id}/categories").json() == {"categories": []}


def test_a_name_that_is_taken_is_refused(bench: Bench) -> None:
    assert bench.client.post("/api/datasets", {"name": "fruit"}).status == 422
    path = f"/api/datasets/{bench.dataset_id}/categories"
    assert bench.client.post(path, {"name": "apple"}).status == 200
    assert bench.client.post(path, {"name": "apple"}).status == 422


def test_a_category_changes_only_where_asked(bench: Bench) -> None:
    category = bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": "apple"}).json()
    path = f"/api/categories/{category['id']}"
    changed = bench.client.send("PATCH", path, {"threshold": 0.4}).json()
    assert changed == {**category, "threshold": 0.4}
    changed = bench.client.send("PATCH", path, {"name": "pear", "color": "#00FF00", "phrases": ["green pear"]}).json()
    assert changed == {**category, "name": "pear", "color": "#00ff00", "phrases": ["green pear"], "threshold": 0.4}
    assert bench.client.send("PATCH", path, {"threshold": None}).json()["threshold"] is None


@pytest.mark.parametrize(
    "change",
    [
        b'{"threshold": NaN}', b'{"threshold": 1e999}', {"threshold": 2}, {"color": "red"}, {"name": "two\nlines"},
        {"phrases": []}, {"phrases": ["..."]}, {"colour": "#000000"}, [], b"{", b"", b"\xff\xfe",
    ],
)  # fmt: skip
def test_a_change_that_breaks_a_rule_changes_nothing(bench: Bench, change: object) -> None:
    category = bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": "apple"}).json()
    answer = bench.client.send("PATCH", f"/api/categories/{category['id']}", change)
    assert 400 <= answer.status < 500, answer.body
    assert list(answer.json()) == ["error"]
    assert bench.client.get(f"/api/datasets/{bench.dataset_id}/categories").json()["categories"] == [category]


def test_a_category_that_nothing_uses_can_go(bench: Bench) -> None:
    category = bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": "apple"}).json()
    assert bench.client.send("DELETE", f"/api/categories/{category['id']}", {}).status == 200
    assert bench.client.send("DELETE", f"/api/categories/{category['id']}", {}).status == 404


@pytest.mark.parametrize(
    "path",
    ["/api/datasets/99/categories", "/api/images/99/shapes", "/api/images/99/pixels", "/api/images/99/thumbnail"],
)
def test_what_is_not_there_answers_404_in_one_line(bench: Bench, path: str) -> None:
    answer = bench.client.get(path)
    assert (answer.status, list(answer.json())) == (404, ["error"])
