"""What the page, the HTTP API and the command line share. Knows no HTTP and no widgets."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from annotations.database import Store
from app.services.evaluating import Evaluator
from app.services.importing import Importer
from app.services.jobs import Jobs
from app.services.labelling import Labeller
from app.services.models import Models
from app.services.outlining import Outliner
from app.services.prefetching import Prefetcher
from app.services.teaching import Teacher
from app.services.workspace import Workspace
from app.version import VERSION
from common.sharing import SharedDevice


@dataclass(frozen=True)
class Services:
    """Everything that is joined once at start and handed to who needs it."""

    workspace: Workspace
    database: str | Path
    store: Store
    jobs: Jobs
    models: Models
    labeller: Labeller
    outliner: Outliner
    prefetcher: Prefetcher
    importer: Importer
    teacher: Teacher
    evaluator: Evaluator

    def status(self) -> dict[str, str]:
        """What is at work: detector, segmenter, device, workspace and version."""
        from engine.devices import pick_device  # torch: only when somebody asks

        return {
            "detector": self.models.current(),
            "segmenter": self.models.segmenter_name,
            "device": str(pick_device()),
            "workspace": str(self.workspace.root),
            "version": VERSION,
        }


@contextmanager
def opened(
    root: Path | None = None, database: str | None = None, detector: str = "auto", segmenter: str = "starter"
) -> Iterator[Services]:
    """The services over one workspace; closed at the end, jobs stopped first.

    Args:
        root: the workspace's folder; None: see `Workspace.open`.
        database: an SQLAlchemy URL; None: SQLite in the workspace.
        detector: name, hub id or folder; "auto": the promoted one, else the best at hand.
        segmenter: name, .pth file or folder.

    Raises:
        annotations.errors.DatabaseRefused: the database can't be used safely.
    """
    workspace = Workspace.open(root)
    url = database or workspace.database
    with Store.open(url) as store, closing(Jobs()) as jobs:
        models = Models(store, detector, segmenter, shared=SharedDevice(workspace.root))
        outliner = Outliner(store, models)
        with closing(Prefetcher(store, models, outliner)) as prefetcher:
            yield Services(
                workspace=workspace,
                database=url,
                store=store,
                jobs=jobs,
                models=models,
                labeller=Labeller(store, models, jobs, outliner),
                outliner=outliner,
                prefetcher=prefetcher,
                importer=Importer(store, workspace.uploads, jobs),
                teacher=Teacher(store, workspace, url),
                evaluator=Evaluator(store, models, jobs),
            )
