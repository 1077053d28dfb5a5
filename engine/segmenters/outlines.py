"""From boxes to masks (Grounded SAM, arXiv:2401.14159)."""

import numpy as np

from common.boxes import Boxes
from common.masks import Rle, encode_mask
from engine.preprocessing import Picture
from engine.segmenters.base import Segmenter, masks_at_once


def outlines(segmenter: Segmenter, image: Picture, boxes_xyxy: Boxes) -> list[Rle]:
    """The mask of each box as COCO RLE, made a few at a time: sixty of a 100-megapixel picture take 6 GB unpacked.

    Args:
        segmenter: looks at the picture from now on.
        image: (H, W, 3) uint8 RGB.
        boxes_xyxy: (N, 4) pixels.
    """
    if not len(boxes_xyxy):
        return []
    boxes = boxes_xyxy.astype(np.float32)
    segmenter.set_image(image)
    size = masks_at_once(image)
    parts = (boxes[start : start + size] for start in range(0, len(boxes), size))
    return [encode_mask(mask) for part in parts for mask in segmenter.predict(boxes_xyxy=part)]
