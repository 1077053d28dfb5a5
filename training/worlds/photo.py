"""What a camera does to a picture: light, focus, noise, compression."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.rules import SceneRules
from training.worlds.textures import Rng, grain, smeared

Image = NDArray[np.uint8]

_DEVIATION = (40.0, 72.0)  # of the greys of nine photos in ten
_MOST_GAIN = 2.5  # of contrast: a picture of nearly nothing stays that
_SHARPENED = 0.8
_DARKER = (-30.0, 10.0)  # photos are darker than drawings


def photographed(rng: Rng, image: Image, rules: SceneRules) -> Image:
    """The (H, W, 3) uint8 picture as some camera could have taken it; nothing in it moves."""
    if rng.random() < rules.light_share:
        image = _unevenly_lit(rng, image)
    if rng.random() < rules.light_share:
        image = _exposed(rng, image)
    if rng.random() < rules.blur_share:
        image = (_out_of_focus, _shaken, _coarse)[rng.integers(3)](rng, image)
    if rng.random() < rules.noise_share:
        strength = rng.uniform(0.05, 0.45)
        image = cv2.addWeighted(image, 1, grain(rng, *image.shape[:2]), strength, -128 * strength)
    if rng.random() < rules.jpeg_share:
        image = _compressed(rng, image)
    return image


def developed(rng: Rng, image: Image) -> Image:
    """The picture as a camera develops it: paler than it was drawn, of high contrast, sharpened.

    Scenes as they are drawn have half the contrast of photos, on every scale, and twice their colour (docs/log.md).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32)
    mean, deviation = float(grey.mean()), float(grey.std())
    gain = min(max(rng.uniform(*_DEVIATION) / max(deviation, 1.0), 1.0), _MOST_GAIN)
    sharp = grey + np.float32(rng.uniform(0, _SHARPENED)) * (grey - cv2.GaussianBlur(grey, (0, 0), 1.0))
    light = mean + rng.uniform(*_DARKER) + gain * (sharp - mean)
    colour = np.float32(rng.uniform(0, 0.8)) * (image - grey[..., None])
    done: Image = np.clip(light[..., None] + colour, 0, 255).astype(np.uint8)
    return done


def _unevenly_lit(rng: Rng, image: Image) -> Image:
    """A window's light from one side, dark corners, the shade of something outside the picture."""
    height, width = image.shape[:2]
    cells = rng.integers(2, 5, 2)
    light = rng.uniform(rng.uniform(0.5, 0.8), 1, (*cells, 1)) * rng.uniform(0.96, 1, (1, 1, 3))
    light = cv2.resize((light * 255).astype(np.uint8), (width, height), interpolation=cv2.INTER_LINEAR)
    lit: Image = cv2.multiply(image, light, scale=rng.uniform(1, 1.2) / 255)
    return lit


def _exposed(rng: Rng, image: Image) -> Image:
    """Another exposure, contrast and, mildly, colour of the light."""
    gain = rng.uniform(0.65, 1.2) * rng.uniform(0.94, 1.06, (1, 3))
    levels = np.arange(256)[:, None] / 255
    bent = levels ** rng.uniform(0.75, 1.35) * gain + rng.uniform(-0.08, 0.08)
    table = (np.clip(bent, 0, 1) * 255).round().astype(np.uint8)
    exposed: Image = cv2.LUT(image, table[None])
    return exposed


def _out_of_focus(rng: Rng, image: Image) -> Image:
    blurred: Image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.5, 1.5))
    return blurred


def _shaken(rng: Rng, image: Image) -> Image:
    return smeared(image, rng.uniform(1, 3), rng.uniform(0, np.pi))


def _coarse(rng: Rng, image: Image) -> Image:
    """Taken with fewer pixels, then enlarged."""
    height, width = image.shape[:2]
    part = rng.uniform(0.45, 0.85)
    small = cv2.resize(image, (max(int(width * part), 1), max(int(height * part), 1)), interpolation=cv2.INTER_AREA)
    enlarged: Image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    return enlarged


def _compressed(rng: Rng, image: Image) -> Image:
    _, file = cv2.imencode(".jpg", image, (cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(30, 90))))
    decoded: Image | None = cv2.imdecode(file, cv2.IMREAD_COLOR)
    assert decoded is not None  # it was just encoded
    return decoded
