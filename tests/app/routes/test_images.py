"""One image over HTTP: pixels, thumbnail, shapes, edits."""

import base64
import io
import json
from pathlib import Path
from uuid import uuid4

import pytest
from PIL import Image

from app.credentials import Credentials
from app.guard import Guard, OwnNames
from tests.app.asgi import ask
from tests.app.workbench import HOME, OWN, Bench


def new_category(bench: Bench, name: str = "apple") -> int:
    """A category to draw with."""
    return int(bench.client.post(f"/api/datasets/{bench.dataset_id}/categories", {"name": name}).json()["id"])


def create(category_id: int, xyxy: list[float]) -> dict[str, object]:
    """An edit that draws one box."""
    item = {"id": str(uuid4()), "category_id": category_id, "xyxy": xyxy, "mask": None}
    return {"op_id": str(uuid4()), "kind": "create", "items": [item]}


def test_pixels_are_the_image_with_a_tag_to_ask_again(bench: Bench) -> None:
    path = f"/api/images/{bench.image_ids[0]}/pixels"
    answer = bench.client.get(path)
    assert (answer.status, answer.headers["content-type"]) == (200, "image/png")
    assert Image.open(io.BytesIO(answer.body)).size == (40, 30)
    assert answer.headers["cache-control"] == "private, no-cache"
    again = bench.client.get(path, {"if-none-match": answer.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    fixed = bench.client.get(path, v=answer.headers["etag"].strip('"')[:12])
    assert fixed.headers["cache-control"] == "private, max-age=31536000, immutable"


def test_thumbnails_are_kept_in_the_cache(bench: Bench) -> None:
    answer = bench.client.get(f"/api/images/{bench.image_ids[0]}/thumbnail")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert len(list(bench.services.workspace.cache.rglob("*-thumbnail.jpg"))) == 1


@pytest.mark.parametrize("width", [0, -1, "x", 10**9])
def test_a_nonsense_width_is_refused(bench: Bench, width: object) -> None:
    assert bench.client.get(f"/api/images/{bench.image_ids[0]}/pixels", w=width).status == 422


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "/etc/passwd",
        "1/../../etc/passwd",
        "1\0",
        "-1",
        "1e3",
        "٣",
        "9" * 30,
        "..\\..\\windows",
        "1;ls",
        "$(id)",
        "0x1",
    ],
)
def test_an_image_has_no_name_but_its_number(bench: Bench, name: str) -> None:
    for kind in ("pixels", "thumbnail", "shapes"):
        answer = bench.client.get(f"/api/images/{name}/{kind}")
        assert answer.status in (404, 422), answer.body
        assert list(answer.json()) == ["error"]


def test_a_drawn_box_is_saved_and_read_back(bench: Bench) -> None:
    category, image = new_category(bench), bench.image_ids[0]
    edit = create(category, [1, 2, 11, 12])
    answer = bench.client.post(f"/api/images/{image}/edits", edit).json()
    assert answer == {"op_id": edit["op_id"], "seq": 1, "revision": 1, "already_applied": False, "skipped": 0}
    shapes = bench.client.get(f"/api/images/{image}/shapes").json()
    (annotation,) = shapes["annotations"]
    assert annotation["xyxy"] == [1, 2, 11, 12]
    assert (annotation["source"], annotation["created_by"]) == ("person", "local")
    assert shapes["can_undo"] and not shapes["can_redo"]


def test_an_edit_sent_twice_is_applied_once(bench: Bench) -> None:
    edit = create(new_category(bench), [1, 2, 11, 12])
    path = f"/api/images/{bench.image_ids[0]}/edits"
    first, second = bench.client.post(path, edit).json(), bench.client.post(path, edit).json()
    assert second == {**first, "already_applied": True}
    assert len(bench.client.get(f"/api/images/{bench.image_ids[0]}/shapes").json()["annotations"]) == 1


def test_undo_and_redo_travel_over_http(bench: Bench) -> None:
    path = f"/api/images/{bench.image_ids[0]}"
    bench.client.post(f"{path}/edits", create(new_category(bench), [1, 2, 11, 12]))
    for kind, left in (("undo", 0), ("redo", 1)):
        answer = bench.client.post(f"{path}/edits", {"op_id": str(uuid4()), "kind": kind, "items": []})
        assert answer.status == 200, answer.body
        assert len(bench.client.get(f"{path}/shapes").json()["annotations"]) == left


def test_an_edit_that_breaks_a_rule_is_refused_in_one_line_and_changes_nothing(bench: Bench) -> None:
    category, path = new_category(bench), f"/api/images/{bench.image_ids[0]}"
    bad = create(category, [5, 5, 5, 5])
    for body in (bad, {**bad, "kind": "drop"}, {**bad, "op_id": "x"}, {}, create(99, [1, 1, 9, 9])):
        answer = bench.client.post(f"{path}/edits", body)
        assert answer.status in (404, 409, 422), answer.body
        assert list(answer.json()) == ["error"] and "\n" not in answer.json()["error"]
    for raw in (b"[]", b"{", b"nul", b'{"op_id": NaN}', b"\x00", b"[" * 100_000):
        assert 400 <= bench.client.post(f"{path}/edits", raw).status < 500
    assert bench.client.get(f"{path}/shapes").json()["image"]["revision"] == 0


def test_an_edit_bears_the_name_of_who_logged_in(bench: Bench) -> None:
    category, path = new_category(bench), f"/api/images/{bench.image_ids[0]}"
    guarded = Guard(bench.client.app.app, OwnNames("127.0.0.1", 7860), Credentials.parse("ada:secret"))
    login = {"authorization": "Basic " + base64.b64encode(b"ada:secret").decode(), "content-type": "application/json"}
    body = json.dumps(create(category, [1, 2, 11, 12])).encode()
    assert ask(guarded, "POST", f"{path}/edits", {**OWN, **login}, [body]).status == 200
    (annotation,) = bench.client.get(f"{path}/shapes").json()["annotations"]
    assert annotation["created_by"] == "ada"


def test_a_form_of_another_site_is_no_edit(bench: Bench) -> None:
    edit = b'{"op_id": "00000000-0000-0000-0000-000000000001", "kind": "mark", "items": [{"done": true}]}'
    path = f"/api/images/{bench.image_ids[0]}/edits"
    answer = ask(bench.client.app, "POST", path, {**HOME, "content-type": "text/plain"}, [edit])
    assert answer.status == 422
    assert bench.client.get(f"/api/images/{bench.image_ids[0]}/shapes").json()["image"]["done"] is False


def test_a_picture_that_has_gone_is_told_in_one_line(bench: Bench, tmp_path: Path) -> None:
    (tmp_path / "pictures" / "0.png").unlink()
    answer = bench.client.get(f"/api/images/{bench.image_ids[0]}/pixels")
    assert answer.status == 422
    assert "'0.png' is no longer where it was imported from" in answer.json()["error"]
