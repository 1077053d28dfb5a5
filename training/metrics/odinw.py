"""Object Detection in the Wild: the mean of COCO's AP over many small datasets (Li et al., arXiv:2204.08790)."""

from collections.abc import Mapping

import numpy as np

from training.metrics.coco import Evaluation

ODINW13 = (
    "AerialMaritimeDrone/large", "Aquarium", "CottontailRabbits", "EgoHands/generic", "NorthAmericaMushrooms",
    "Packages", "PascalVOC", "pistols", "pothole", "Raccoon", "ShellfishOpenImages", "thermalDogsAndPeople",
    "VehiclesOpenImages",
)  # fmt: skip
"""The thirteen datasets of GLIP's tables, by the first words of their folders."""


def is_of_odinw13(name: str) -> bool:
    """Whether a dataset, by the name its folders give it, is one of the thirteen."""
    return any(name == of_thirteen or name.startswith(f"{of_thirteen}/") for of_thirteen in ODINW13)


def odinw_average(sets: Mapping[str, Evaluation]) -> Evaluation:
    """The plain mean of each COCO number over datasets: a small set weighs as much as a large one.

    A set where a number can't be measured takes no part in that number's mean; its own row says None.

    Args:
        sets: name of the dataset -> its COCO evaluation.

    Returns:
        Metrics of the same names, averaged; per set the same names and "images".
    """
    names = dict.fromkeys(name for evaluation in sets.values() for name in evaluation.metrics)
    metrics: dict[str, float | None] = {}
    for name in names:
        values = [evaluation.metrics.get(name) for evaluation in sets.values()]
        measured = [value for value in values if value is not None]
        metrics[name] = float(np.mean(measured)) if measured else None
    per_set: dict[str, Mapping[str, float | int | None]] = {
        set_name: {**evaluation.metrics, "images": evaluation.images} for set_name, evaluation in sets.items()
    }
    return Evaluation(metrics, per_set, sum(evaluation.images for evaluation in sets.values()))
