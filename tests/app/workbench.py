"""A workspace with real images in a real store, and the JSON routes behind the guard, asked without a server."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import numpy as np
from PIL import Image

from annotations.datasets import add_image, create_dataset
from app.guard import Guard, OwnNames
from app.server import build_api
from app.services import Services, opened
from common.images import probe_image
from tests.app.asgi import Answer, ask

HOME = {"host": "127.0.0.1:7860"}
OWN = {**HOME, "origin": "http://127.0.0.1:7860", "sec-fetch-site": "same-origin"}


@dataclass(frozen=True)
class Client:
    """Asks as our own page does."""

    app: Guard

    def get(self, path: str, headers: dict[str, str] | None = None, **query: Any) -> Answer:
        """GET with a query."""
        return ask(self.app, "GET", path, {**OWN, **(headers or {})}, query=urlencode(query))

    def post(self, path: str, body: Any) -> Answer:
        """POST a JSON body."""
        return self.send("POST", path, body)

    def send(self, method: str, path: str, body: Any) -> Answer:
        """A JSON body with any method; bytes are sent as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return ask(self.app, method, path, {**OWN, "content-type": "application/json"}, [content])

    def upload(self, dataset_id: int, name: str, content: bytes) -> Answer:
        """One image as the raw body."""
        headers = {**OWN, "content-type": "application/octet-stream"}
        return ask(
            self.app, "POST", f"/api/datasets/{dataset_id}/upload", headers, [content], urlencode({"name": name})
        )


@dataclass(frozen=True)
class Bench:
    """The services, a client, and what is in the store: one dataset 'fruit' with images 40 x 30 px."""

    services: Services
    client: Client
    dataset_id: int
    image_ids: tuple[int, ...]


@contextmanager
def workbench(root: Path, images: int = 2, detector: str = "auto") -> Iterator[Bench]:
    """A fresh workspace in `root` with `images` images; closed at the end."""
    pictures = root / "pictures"
    pictures.mkdir()
    with opened(root / "workspace", detector=detector) as services:
        with services.store.writing() as session:
            dataset_id = create_dataset(session, "fruit").id
            ids = []
            for index in range(images):
                path = pictures / f"{index}.png"
                Image.fromarray(np.full((30, 40, 3), 20 + index, np.uint8)).save(path)
                ids.append(add_image(session, dataset_id, path, path.name, probe_image(path)).id)
        guard = Guard(build_api(services), OwnNames("127.0.0.1", 7860))
        yield Bench(services, Client(guard), dataset_id, tuple(ids))
