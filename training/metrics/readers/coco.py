"""COCO's instance files. Format: https://cocodataset.org/#format-data."""

from pathlib import Path

from training.metrics.readers.document import image_file, labels_of, read_document
from training.metrics.readers.samples import DetectionSample, DetectionSet

_INSTEAD = "Name the JSON file, such as instances_val2017.json."


def read_coco(path: Path) -> DetectionSet:
    """All images of an instances file, those without labels too; ids become places.

    Raises:
        LayoutRefused: the file is not of this layout; the line says at which place.
    """
    document = read_document(path, _INSTEAD)
    categories = document.categories()

    samples = []
    for identity, row in document.images.items():
        image = image_file(row)
        samples.append(DetectionSample(image, labels_of(document.annotations[identity], image, categories)))
    names = tuple(row.text("name") for _, row in categories.values())
    return DetectionSet(path.stem, names, tuple(samples))
