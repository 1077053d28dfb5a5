"""What keeps a thing from looking drawn: a material all over it, parts that give way, an edge that is not sharp."""

import cv2
import numpy as np

from training.worlds.sprites import Picture
from training.worlds.textures import Field, Rng, grain, smeared, smooth_noise, texture

_DEPTH = (0.08, 0.35)  # deviation of the light on a material
_LIGHT = (0.2, 2.2)  # of the darkest and the brightest part
_THREADS_FROM_PX = 24  # smaller things show none
_FRAYED = 40.0  # deviation of an edge's alpha, of 255
_SOFTEST_PX = 3.0  # deviation


def clad(rng: Rng, picture: Picture) -> Picture:
    """The picture with the ups and downs of some material, fur or cloth, in all its areas, and its colours on average.

    Args:
        picture: (H, W, 4) uint8, colours multiplied by alpha, here and below.
    """
    height, width = picture.shape[:2]
    field = _material(rng, height, width)
    if max(height, width) > _THREADS_FROM_PX:
        field = field + np.float32(rng.uniform()) * _threads(rng, height, width)
    light = np.clip(1 + np.float32(rng.uniform(*_DEPTH)) * _of_deviation_1(field), *_LIGHT)
    changed = picture.astype(np.float32)
    changed[..., :3] *= light[..., None]
    return np.minimum(changed, picture[..., 3:]).astype(np.uint8)


def bent(rng: Rng, picture: Picture) -> Picture:
    """The picture with its parts moved against each other, by up to an eighth of its shorter side; nothing is torn."""
    reach = rng.uniform(0.03, 0.12) * min(picture.shape[:2])
    margin_px = int(np.ceil(reach)) + 1
    wide = cv2.copyMakeBorder(
        picture, margin_px, margin_px, margin_px, margin_px, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0)
    )
    height, width = wide.shape[:2]
    cells = rng.uniform(1.5, 4)
    across, down = (
        np.float32(2 * reach) * (np.clip(smooth_noise(rng, height, width, cells), 0, 1) - np.float32(0.5))
        for _ in range(2)
    )
    rows, columns = np.indices((height, width), np.float32)
    moved: Picture = cv2.remap(wide, columns + across, rows + down, cv2.INTER_LINEAR)
    return moved


def softened(rng: Rng, picture: Picture) -> Picture:
    """The picture with an edge that is a little out of focus, and that of a larger thing frayed, as fur is."""
    longer = max(picture.shape[:2])
    deviation = min(rng.uniform(0.004, 0.02) * longer, _SOFTEST_PX)
    before = cv2.extractChannel(picture, 3)
    alpha: Field = cv2.GaussianBlur(before, (0, 0), deviation, borderType=cv2.BORDER_CONSTANT).astype(np.float32)
    if longer > _THREADS_FROM_PX:
        at_edge = (alpha > 8) & (alpha < 247)
        alpha = alpha + np.float32(_FRAYED) * _threads(rng, *alpha.shape) * at_edge
    alpha = np.clip(alpha, 0, before)
    share = alpha / np.maximum(before, 1)
    soft: Picture = (picture * share[..., None]).astype(np.uint8)
    return soft


def _material(rng: Rng, height: int, width: int) -> Field:
    """(H, W) of deviation 1 or, where the material is plain, less: a part of a texture."""
    larger = rng.uniform(1, 2.5)
    rows, columns = max(round(height * larger), 8), max(round(width * larger), 8)
    grey = cv2.cvtColor(texture(rng, (rows, columns)), cv2.COLOR_RGB2GRAY)
    top, left = rng.integers(0, rows - height + 1), rng.integers(0, columns - width + 1)
    field: Field = grey[top : top + height, left : left + width].astype(np.float32)
    field -= np.float32(field.mean())
    return field / np.float32(max(float(field.std()), 8.0))


def _threads(rng: Rng, height: int, width: int) -> Field:
    """(H, W) of deviation 1: hairs that all lie one way."""
    fine = cv2.extractChannel(np.ascontiguousarray(grain(rng, height, width)), 0).astype(np.float32) - np.float32(128)
    return _of_deviation_1(smeared(fine, float(rng.integers(3, 8)), rng.uniform(0, np.pi)))


def _of_deviation_1(field: Field) -> Field:
    return field / np.float32(max(float(field.std()), 1e-3))
