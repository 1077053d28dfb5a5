"""Small files in the layouts of public benchmarks."""

import json
from pathlib import Path
from typing import Any

Json = dict[str, Any]

COCO: Json = {
    "images": [
        {"id": 7, "file_name": "a.jpg", "width": 100, "height": 80},
        {"id": 3, "file_name": "b.jpg", "width": 50, "height": 40},
    ],
    "annotations": [
        {"id": 1, "image_id": 7, "category_id": 90, "bbox": [10, 20, 30, 40], "area": 700.5, "iscrowd": 0},
        {"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 100, 80], "area": 8000, "iscrowd": 1},
    ],
    "categories": [{"id": 90, "name": "toothbrush"}, {"id": 1, "name": "person"}],
}

LVIS: Json = {
    "images": [
        {
            "id": 5,
            "coco_url": "http://images.cocodataset.org/val2017/000000000005.jpg",
            "width": 100,
            "height": 80,
            "neg_category_ids": [30],
            "not_exhaustive_category_ids": [10],
        }
    ],
    "annotations": [{"id": 1, "image_id": 5, "category_id": 10, "bbox": [10, 20, 30, 40], "area": 700.5}],
    "categories": [
        {"id": 10, "name": "bow_(weapon)", "frequency": "c"},
        {"id": 30, "name": "yak", "frequency": "r"},
    ],
}

CAPTION = "Two men and a dog ."
FLICKR: Json = {
    "images": [
        {
            "id": 0,
            "file_name": "36979.jpg",
            "height": "80",
            "width": "100",
            "caption": CAPTION,
            "dataset_name": "flickr",
            "tokens_negative": [[0, len(CAPTION)]],
            "sentence_id": 0,
            "original_img_id": 36979,
            "tokens_positive_eval": [[[0, 7]], [[12, 17]]],
        },
        {
            "id": 1,
            "file_name": "36979.jpg",
            "height": "80",
            "width": "100",
            "caption": "A sunny day .",
            "sentence_id": 1,
            "tokens_positive_eval": [],
        },
    ],
    "annotations": [
        {"id": 0, "image_id": 0, "category_id": 1, "bbox": [1, 1, 20, 40], "tokens_positive": [[0, 7]]},
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [30, 1, 20, 40], "tokens_positive": [[0, 7]]},
        {"id": 2, "image_id": 0, "category_id": 1, "bbox": [60, 40, 20, 20], "tokens_positive": [[12, 17]]},
    ],
    "categories": [{"supercategory": "object", "id": 1, "name": "object"}],
}


def referring(*targets: list[list[float]], dataset: str = "refcoco") -> Json:
    """MDETR's layout: an image entry an expression, with its boxes."""
    images, annotations = [], []
    for number, boxes in enumerate(targets):
        images.append(
            {
                "id": number,
                "file_name": "COCO_train2014_000000000009.jpg",
                "height": 80,
                "width": 100,
                "original_id": 9,
                "caption": f"thing {number} on the left",
                "dataset_name": dataset,
                "tokens_negative": [[0, 5]],
            }
        )
        for box in boxes:
            annotations.append({"bbox": box, "category_id": 18, "iscrowd": 0, "empty": False})
        if not boxes:
            annotations.append({"bbox": [0, 0, 0, 0], "category_id": -1, "iscrowd": -1, "empty": True, "area": -1})
        for annotation in annotations[len(annotations) - max(len(boxes), 1) :]:
            annotation |= {"id": len(annotations), "image_id": number, "tokens_positive": [[0, 5]]}
    return {"images": images, "annotations": annotations, "categories": []}


D3: Json = {
    "images": [
        {"id": 0, "file_name": "g1/a.jpg", "width": 100, "height": 80},
        {"id": 1, "file_name": "g2/b.jpg", "width": 100, "height": 80},
    ],
    "annotations": [
        {"id": 1, "image_id": 0, "category_id": 1, "bbox": [0, 0, 10, 10], "area": 100, "iscrowd": 0},
        {"id": 2, "image_id": 0, "category_id": 3, "bbox": [20, 0, 10, 10], "area": 100, "iscrowd": 0},
        {"id": 3, "image_id": 1, "category_id": 2, "bbox": [40, 0, 10, 10], "area": 100, "iscrowd": 0},
    ],
    "categories": [
        {"id": 1, "name": "a red hat"},
        {"id": 2, "name": "a dog without a leash"},
        {"id": 3, "name": "a man on a horse"},
    ],
}
D3_GROUPS: Json = {
    "1": {"id": 1, "inner_sent_id": [1], "outer_sent_id": [3], "img_id": [0]},
    "2": {"id": 2, "inner_sent_id": [2, 3], "outer_sent_id": [], "img_id": [1]},
}


def write(path: Path, values: Any) -> Path:
    """The values as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values), encoding="utf-8")
    return path
