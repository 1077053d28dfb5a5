"""The Description Detection Dataset: a COCO file whose categories are sentences (d3_full_annotations.json).

Which sentences are asked about an image is not in that file: the dataset keeps it in groups (scenarios). They are
read from a list "groups" in the file or from groups.json beside it, with the fields of the dataset's own table: `id`,
`inner_sent_id` (the group's own sentences) and `img_id`. Which sentences are about something absent is read from
`is_negative` of the categories, of "sentences" in the file, of sentences.json beside it, or from the categories of
d3_abs_annotations.json beside it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from training.errors import LayoutRefused
from training.metrics.described import Sentence, labels_within
from training.metrics.readers.document import (
    Categories,
    Document,
    Identity,
    Row,
    image_file,
    labels_of,
    read_document,
    read_json,
    rows_of,
)
from training.metrics.readers.samples import DescribedSample, DescribedSet

_INSTEAD = "Name d3_full_annotations.json of the dataset's folder d3_json."
Setting = Literal["intra", "inter"]


def read_d3(path: Path, setting: Setting = "intra") -> DescribedSet:
    """All images of D3 with the sentences that are asked about them; ids become places.

    Args:
        path: d3_full_annotations.json, d3_pres_annotations.json or d3_abs_annotations.json.
        setting: "intra": of each image only its group's sentences, and only their labels (the published numbers);
            "inter": every sentence of every image.

    Raises:
        LayoutRefused: the file is not of this layout, or says nothing about groups and the setting is "intra".
    """
    document = read_document(path, _INSTEAD)
    categories = document.categories()
    absent = _absence(document, path, categories)
    sentences = tuple(Sentence(row.text("name"), absent.get(identity)) for identity, (_, row) in categories.items())
    everything = frozenset(range(len(sentences)))
    groups = _groups(document, path, categories) if setting == "intra" else {}

    samples = []
    for identity, row in document.images.items():
        image = image_file(row)
        if setting == "intra" and identity not in groups:
            raise LayoutRefused(f"{row.where} (id {identity!r}) is in no group. Give a groups.json of this dataset.")
        group = groups.get(identity, everything)
        labels = labels_of(document.annotations[identity], image, categories)
        samples.append(DescribedSample(image, labels_within(labels, group), group))
    return DescribedSet(sentences, tuple(samples))


def _groups(document: Document, path: Path, categories: Categories) -> dict[Identity, frozenset[int]]:
    """Id of an image -> places of its group's sentences; those of another file (PRES, ABS) are left out."""
    rows = list(_table(document, path, "groups"))
    if not rows:
        raise LayoutRefused(
            f"{path.name} does not say which sentences belong to which images. Put groups.json beside it, a list of "
            '{"id", "inner_sent_id", "img_id"}, or ask for the inter setting.'
        )
    found: dict[Identity, frozenset[int]] = {}
    for row in rows:
        places = frozenset(categories[i][0] for i in row.identities("inner_sent_id") if i in categories)
        for image in row.identities("img_id"):
            found[image] = found.get(image, frozenset()) | places
    return found


def _absence(document: Document, path: Path, categories: Categories) -> dict[Identity, bool]:
    """Id of a sentence -> whether it is about something absent, as far as the files say."""
    said = [row for _, row in categories.values() if "is_negative" in row.values]
    if not said:
        said = list(_table(document, path, "sentences"))
    if said:
        return {row.identity("id"): _is_negative(row) for row in said}
    beside = path.with_name("d3_abs_annotations.json")
    if path.name == "d3_pres_annotations.json":
        return dict.fromkeys(categories, False)
    if not beside.is_file():
        return {}
    absent = read_document(beside, _INSTEAD).categories()
    return {identity: identity in absent for identity in categories}


def _is_negative(row: Row) -> bool:
    value = row.value("is_negative")
    if value not in (0, 1) or isinstance(value, float):
        row.refuse("is_negative", "true or false (or 1 or 0)")
    return bool(value)


def _table(document: Document, path: Path, key: str) -> Iterator[Row]:
    """The rows of one of the dataset's tables: a list, or an object by id; none where there is no such table."""
    values: Any = document.values.get(key)
    name = document.file_name
    beside = path.with_name(f"{key}.json")
    if values is None and beside.is_file():
        values, name = read_json(beside, _INSTEAD), beside.name
        if isinstance(values, dict) and isinstance(values.get(key), list):
            values = values[key]
    if isinstance(values, dict):
        values = list(values.values())
    if values is not None:
        yield from rows_of(name, {key: values}, key)
