"""Training samples as a picture, for the page."""

import io

from annotations.database import Store
from app.services.models import Models
from app.services.turns import Urgency

SAMPLES = 6


def preview_sheet(store: Store, models: Models, dataset: str, mode: str) -> bytes:
    """The first samples a run would learn from, as a PNG.

    Raises:
        NotFound, EngineError, TrainingError, ImageRefused: one line that says why there is nothing to show.
    """
    from engine.checkpoints import as_teachable  # torch: only when somebody asks
    from training.job import TrainRequest
    from training.preview import drawn_sheet
    from training.rehearsal import preview_request

    name = models.current()
    request = TrainRequest(dataset, name, models.source(name), mode=mode)
    with models.device(Urgency.PAGE):  # its tokenizer refuses two threads at once
        detector = as_teachable(models.detector(name).inner)
        found = preview_request(store, request, SAMPLES, detector)
    called = [found.names[sample.image_id] for sample in found.samples]
    picture = io.BytesIO()
    drawn_sheet(found.samples, called, columns=2).save(picture, "PNG")
    return picture.getvalue()
