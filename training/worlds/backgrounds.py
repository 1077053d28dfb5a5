"""What lies behind the things of a scene."""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.worlds.clutter import draw_clutter, draw_figures, draw_thicket
from training.worlds.photo import developed
from training.worlds.rules import SceneRules
from training.worlds.textures import Rng, grain, happens, layered_noise, texture

__all__ = ["Rng", "background"]

Image = NDArray[np.uint8]


def background(rng: Rng, size_hw: tuple[int, int], rules: SceneRules) -> Image:
    """(H, W, 3) uint8 of nothing in particular: soft colours, materials, a horizon, sometimes with clutter.

    Nothing in it looks like a shape that has a name, unless `rules.backdrop_share` lets it.
    """
    figures = bool(rng.random() < rules.backdrop_share)
    kind = int(rng.choice(5, p=(0.15, 0.12, 0.43, 0.2, 0.1)))
    image = (_clouds, _plain, _material, _horizon, _patches)[kind](rng, size_hw, figures)
    if happens(rng, rules.thicket_share):
        draw_thicket(rng, image)
    if figures:
        draw_figures(rng, image)
    if rng.random() < rules.clutter_share:
        draw_clutter(rng, image)
        if rng.random() < 0.3:  # far behind the things, so out of focus
            image = cv2.GaussianBlur(image, (0, 0), rng.uniform(1, 4))
    if rng.random() < 0.4:
        strength = rng.uniform(0.05, 0.35)
        image = cv2.addWeighted(image, 1, grain(rng, *size_hw), strength, -128 * strength)
    return developed(rng, image) if happens(rng, rules.developed_share) else image


def _clouds(rng: Rng, size_hw: tuple[int, int], figures: bool) -> Image:
    """Soft patches of colour, each rarely as strong as it could be."""
    cells = rng.integers(2, 9, 2)
    colours = rng.integers(0, 256, (*cells, 3)) * np.float32(1)
    grey = colours.mean(2, keepdims=True)
    mixed = (grey + (colours - grey) * rng.uniform(0.1, 1)).astype(np.uint8)
    image: Image = cv2.resize(mixed, size_hw[::-1], interpolation=cv2.INTER_CUBIC)
    return image


def _plain(rng: Rng, size_hw: tuple[int, int], figures: bool) -> Image:
    base = rng.integers(0, 256, 3)
    shades = np.clip(base + rng.integers(-25, 26, (3, 3, 1)), 0, 255).astype(np.uint8)
    image: Image = cv2.resize(shades, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    return image


def _material(rng: Rng, size_hw: tuple[int, int], figures: bool) -> Image:
    return texture(rng, size_hw, figures=figures)


def _horizon(rng: Rng, size_hw: tuple[int, int], figures: bool) -> Image:
    """One thing above, another below: sky and field, wall and floor."""
    height, width = size_hw
    kinds = (_clouds, _plain, _material, _material)
    above = kinds[rng.integers(len(kinds))](rng, size_hw, figures)
    level = int(height * rng.uniform(0.3, 0.9))
    below = kinds[rng.integers(len(kinds))](rng, (height - level, width), figures)
    above[level:] = below
    return above


def _patches(rng: Rng, size_hw: tuple[int, int], figures: bool) -> Image:
    """Two materials that meet in an uneven, hard or soft edge."""
    height, width = size_hw
    field = layered_noise(rng, -(-height // 2), -(-width // 2))
    share = np.clip((field - np.float32(0.5)) * np.float32(rng.choice((3, 40))) + np.float32(0.5), 0, 1)
    share = cv2.resize(share, (width, height), interpolation=cv2.INTER_LINEAR)
    first, second = (texture(rng, size_hw, figures=figures) for _ in range(2))
    image: Image = cv2.blendLinear(first, second, share, 1 - share)
    return image
