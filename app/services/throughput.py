"""How fast a whole dataset is labelled: the `label.*` rows of `bench engine`."""

from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import uuid4

from PIL import Image

from annotations.importers import import_path
from annotations.queries import dataset_by_name
from app.services import opened
from app.services.jobs import Job
from app.services.questions import question

LONGEST_PX = 640
_PROMPT = "cat. dog. apple. key."
_DATASET = "scenes"


def measure(images: int = 500) -> dict[str, float]:
    """Label rendered scenes, as JPEG files of 640 px, with the starter from the first image to the last commit.

    Returns:
        "label.images_per_s", and "label.model_share": the part of the time that the detector is at work.

    Raises:
        training.worlds.sprites.FontMissing: scenes cannot be drawn.
    """
    with TemporaryDirectory() as folder:
        _draw(Path(folder, "images"), images)
        with opened(Path(folder, "workspace"), detector="starter") as services:
            import_path(services.store, _DATASET, Path(folder, "images"))
            with services.store.reading() as session:
                dataset_id = dataset_by_name(session, _DATASET).id
            services.models.detector()
            job = Job(uuid4())
            result = services.labeller.run(dataset_id, question("detect", _PROMPT), None, job)
    seconds, model_seconds = float(str(result["seconds"])), float(str(result["model_seconds"]))
    return {
        "label.images_per_s": round(images / seconds, 2),
        "label.model_share": round(model_seconds / seconds, 3),
    }


def _draw(folder: Path, images: int) -> None:
    from training.worlds.scenes import numbered_scene

    folder.mkdir()
    for index in range(images):
        Image.fromarray(numbered_scene(0, index, longest_px=LONGEST_PX).image).save(folder / f"{index:04}.jpg")
