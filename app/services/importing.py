"""Images and labels that come into a dataset: by path, by upload, or as the examples."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from annotations import queries
from annotations.database import Store
from annotations.datasets import add_image, create_dataset, set_prompt
from annotations.exporters.report import ExportReport
from annotations.importers import Format, ImportReport, import_path
from annotations.models import Image, Split
from app.services.examples import EXAMPLES_NAME, SCENES, examples
from app.services.jobs import Job, Jobs
from common.images import EXTENSIONS, ImageRefused, probe_image, read_image
from common.publish import published_file


class Importer:
    """Brings images into datasets; nothing is copied but what comes through the browser."""

    def __init__(self, store: Store, uploads: Path, jobs: Jobs) -> None:
        self._store = store
        self._uploads = uploads
        self._jobs = jobs

    def start(self, dataset: str, path: str, format: Format = "auto", split: Split | None = None) -> UUID:
        """Queue an import by path; the job's result is the report."""

        def work(job: Job) -> dict[str, object]:
            report = import_path(
                self._store, dataset, Path(path).expanduser(), format=format, split=split, progress=job.progress_or_end
            )
            for skipped in report.skipped:
                job.skip(skipped.what, skipped.reason)
            with self._store.reading() as session:
                return {**report_document(report), "dataset_id": queries.dataset_by_name(session, dataset).id}

        return self._jobs.start(work)

    def upload(self, dataset_id: int, file_name: str, content: bytes) -> int:
        """Keep an image that came through the browser and add it to a dataset.

        The name a browser sends is never used as a path: the file is named after its content.

        Returns:
            The image's id; that of the same picture when the dataset has it already.

        Raises:
            ImageRefused: it is not an image we read.
        """
        digest = hashlib.sha256(content).hexdigest()
        with self._store.reading() as session:
            queries.dataset_by_id(session, dataset_id)
            if (known := _image_with(session, dataset_id, digest)) is not None:
                return known
        name = safe_name(file_name)
        path = self._uploads / str(dataset_id) / f"{digest[:16]}{Path(name).suffix}"
        read_image(content, name=file_name)
        with published_file(path) as aside:
            aside.write_bytes(content)
        info = probe_image(path)
        with self._store.writing() as session:
            known = _image_with(session, dataset_id, digest)
            return known if known is not None else add_image(session, dataset_id, path, name, info).id

    def create_examples(self) -> tuple[int, dict[str, int]]:
        """The example dataset, made when it is not there: its id, and the ids of its pictures by their files' names."""
        import_path(self._store, EXAMPLES_NAME, SCENES, format="images")
        paths = {str((SCENES / example.file).absolute()): example.file for example in examples()}
        with self._store.writing() as session:
            dataset = queries.dataset_by_name(session, EXAMPLES_NAME)
            if not dataset.prompt:
                set_prompt(session, dataset.id, next(each.prompt for each in examples() if each.task == "detect"))
            rows = session.execute(
                select(Image.path, Image.id).where(Image.dataset_id == dataset.id, Image.path.in_(paths))
            )
            return dataset.id, {paths[path]: image_id for path, image_id in rows}

    def create_dataset(self, name: str) -> int:
        """An empty dataset, or EditRefused."""
        with self._store.writing() as session:
            return create_dataset(session, name).id


def _image_with(session: Session, dataset_id: int, sha256: str) -> int | None:
    return session.scalar(select(Image.id).where(Image.dataset_id == dataset_id, Image.sha256 == sha256))


def safe_name(file_name: str) -> str:
    """A file name made of harmless characters with an image's extension.

    Raises:
        ImageRefused: the extension is not one of an image.
    """
    bare = re.split(r"[/\\]", file_name)[-1]
    suffix = Path(bare).suffix.lower()
    if suffix not in EXTENSIONS:
        raise ImageRefused(f"{bare[:80]!r} is not an image: send one of {', '.join(sorted(EXTENSIONS))}.")
    return f"{safe_folder(Path(bare).stem) or 'image'}{suffix}"


def safe_folder(name: str) -> str:
    """What is left of a name when only letters, digits, '.', '_' and '-' stay."""
    return re.sub(r"[^A-Za-z0-9._-]+", "_", name).strip("._")[:80]


def report_document(report: ImportReport | ExportReport) -> Mapping[str, object]:
    """The report as `import --json` and `export --json` print it."""
    return asdict(report)
