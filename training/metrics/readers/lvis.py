"""LVIS v1's files: COCO's, with what each image says nothing about. Format: https://www.lvisdataset.org/dataset."""

from pathlib import Path

from training.metrics.lvis import FederatedCategory, FederatedLabels, Frequency
from training.metrics.readers.document import Row, image_file, labels_of, read_document
from training.metrics.readers.samples import FederatedSample, FederatedSet

_FREQUENCIES: dict[str, Frequency] = {"r": "r", "c": "c", "f": "f"}
_INSTEAD = "Name the JSON file, such as lvis_v1_minival.json or lvis_v1_val.json."


def read_lvis(path: Path) -> FederatedSet:
    """All images of an LVIS file; ids become places.

    Raises:
        LayoutRefused: the file is not of this layout; the line says at which place.
    """
    document = read_document(path, _INSTEAD)
    categories = document.categories()

    def indices_of(row: Row, key: str) -> frozenset[int]:
        identities = row.identities(key)
        if any(identity not in categories for identity in identities):
            row.refuse(key, "ids of categories of this file")
        return frozenset(categories[identity][0] for identity in identities)

    samples = []
    for identity, row in document.images.items():
        image = image_file(row)
        labels = labels_of(document.annotations[identity], image, categories)
        absent, partly = indices_of(row, "neg_category_ids"), indices_of(row, "not_exhaustive_category_ids")
        samples.append(FederatedSample(image, FederatedLabels(labels, absent, partly)))
    return FederatedSet(tuple(_category(row) for _, row in categories.values()), tuple(samples))


def _category(row: Row) -> FederatedCategory:
    said = row.text("frequency")
    if said not in _FREQUENCIES:
        row.refuse("frequency", "'r', 'c' or 'f' (rare, common, frequent)")
    return FederatedCategory(row.text("name"), _FREQUENCIES[said])
