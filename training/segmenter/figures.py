"""Things that have no name: outlines nobody has drawn before, of one part or several, filled with anything.

A segmenter that has seen only emojis looks for emojis; these teach it what an object is: a piece of the picture with
an edge around it, of one colour or of many, smooth or rugged, with holes, thin, in front of others.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from training.segmenter.materials import Materials
from training.worlds.concepts import CONCEPTS
from training.worlds.sprites import Picture, sprite, with_alpha
from training.worlds.textures import Rng, layered_noise

Mask = NDArray[np.uint8]  # (H, W), 0 to 255
Outline = NDArray[np.float64]  # (P, 2), x and y from -1 to 1

_FRACTION = 4  # binary places of the coordinates that OpenCV fills between
_POINTS = 72  # of a smooth outline


def figure(rng: Rng, size_hw: tuple[int, int], materials: Materials) -> Picture:
    """(H, W, 4) uint8 RGBA of some thing that fills about so many pixels, colours multiplied by alpha.

    Raises:
        FontMissing: the emoji font is not installed.
    """
    kind = rng.random()
    if kind < 0.22:
        return _disguised(rng, size_hw, materials)
    parts = next(draw for share, draw in _SHAPES if kind < share)(rng, size_hw)
    colours = materials.swatch(rng, size_hw)
    if rng.random() < 0.35:
        _mark(rng, colours, materials)
    several = rng.random() < 0.6
    for part in parts[1:]:
        if several:
            _fill(colours, part, materials.swatch(rng, size_hw))
    alpha = parts[0]
    for part in parts[1:]:
        alpha = cv2.max(alpha, part)
    if rng.random() < 0.55:
        _shade(rng, colours, alpha)
    return with_alpha(colours, alpha)


def _disguised(rng: Rng, size_hw: tuple[int, int], materials: Materials) -> Picture:
    """An emoji's outline: in other colours, or filled with anything, keeping its inner drawing or not."""
    drawn = sprite(int(rng.integers(len(CONCEPTS))), max(size_hw))
    picture = cv2.resize(drawn, size_hw[::-1], interpolation=cv2.INTER_AREA)
    if rng.random() < 0.5:
        picture = np.ascontiguousarray(picture[:, ::-1])
    alpha = cv2.extractChannel(picture, 3)
    full = cv2.divide(picture[..., :3], cv2.merge((alpha, alpha, alpha)), scale=255)
    choice = rng.random()
    if choice < 0.35:
        colours = np.ascontiguousarray(full[..., rng.permutation(3)])
    elif choice < 0.7:
        colours = cv2.addWeighted(materials.swatch(rng, size_hw), rng.uniform(0.4, 0.8), full, rng.uniform(0.2, 0.5), 0)
    else:
        colours = materials.swatch(rng, size_hw)
    if rng.random() < 0.4:
        _shade(rng, colours, alpha)
    return with_alpha(colours, alpha)


def _blob(rng: Rng) -> Outline:
    """A smooth closed line: waves around a circle, squeezed and turned."""
    turns = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False)
    waves = np.arange(1, int(rng.integers(3, 9)))
    heights = rng.normal(0, rng.uniform(0.08, 0.4), len(waves)) / waves**0.7
    radius = 1 + (heights[:, None] * np.cos(waves[:, None] * turns + rng.uniform(0, 6.3, (len(waves), 1)))).sum(0)
    radius = np.maximum(radius, 0.2)
    return _turned(rng, np.stack([radius * np.cos(turns), rng.uniform(0.35, 1) * radius * np.sin(turns)], 1))


def _oblong(rng: Rng) -> Outline:
    """Between an ellipse and a rectangle (Lamé's curve), also leaning or narrower at one end."""
    turns = np.linspace(0, 2 * np.pi, _POINTS, endpoint=False) + np.pi / _POINTS
    power = 2 / rng.choice((2, 3, 5, 12))
    x, y = (np.sign(side) * np.abs(side) ** power for side in (np.cos(turns), np.sin(turns)))
    y = y * (1 + rng.uniform(-0.35, 0.35) * x)
    x = x + rng.uniform(-0.3, 0.3) * y
    outline = np.stack([x, rng.uniform(0.3, 1) * y], 1)
    return _turned(rng, outline) if rng.random() < 0.5 else outline


def _polygon(rng: Rng) -> Outline:
    corners = int(rng.integers(3, 10))
    turns = np.sort(rng.uniform(0, 2 * np.pi, corners))
    radius = rng.uniform(rng.uniform(0.3, 0.9), 1, corners)
    return np.stack([radius * np.cos(turns), radius * np.sin(turns)], 1)


def _outline(rng: Rng) -> Outline:
    return (_blob, _blob, _oblong, _oblong, _polygon)[rng.integers(5)](rng)


def _turned(rng: Rng, outline: Outline) -> Outline:
    angle = rng.uniform(0, 2 * np.pi)
    cosine, sine = np.cos(angle), np.sin(angle)
    turned: Outline = outline @ np.array([(cosine, -sine), (sine, cosine)])
    return turned


def _fitted(outline: Outline) -> Outline:
    """Stretched so that it touches -1 and 1 in both directions."""
    low, high = outline.min(0), outline.max(0)
    fitted: Outline = (outline - low) / np.maximum(high - low, 1e-6) * 2 - 1
    return fitted


def _drawn(size_hw: tuple[int, int], outlines: list[Outline]) -> Mask:
    """The area inside outlines; a second one inside the first is a hole."""
    mask = np.zeros(size_hw, np.uint8)
    half = np.array([size_hw[1] - 2, size_hw[0] - 2]) / 2
    points = [np.round((line + 1) * half * 2**_FRACTION + 2**_FRACTION / 2).astype(np.int32) for line in outlines]
    cv2.fillPoly(mask, points, 255, cv2.LINE_AA, _FRACTION)
    return mask


def _plain(rng: Rng, size_hw: tuple[int, int]) -> list[Mask]:
    return [_drawn(size_hw, [_fitted(_outline(rng))])]


def _holed(rng: Rng, size_hw: tuple[int, int]) -> list[Mask]:
    outer = _fitted(_outline(rng))
    inner = outer if rng.random() < 0.5 else _fitted(_outline(rng))
    return [_drawn(size_hw, [outer, inner * rng.uniform(0.3, 0.8) + rng.uniform(-0.15, 0.15, 2)])]


def _built(rng: Rng, size_hw: tuple[int, int]) -> list[Mask]:
    """A body with limbs and a head, or boxes on boxes: two to eight parts that touch the first."""
    body = _fitted(_outline(rng)) * rng.uniform(0.3, 0.65, 2) + rng.uniform(-0.2, 0.2, 2)
    masks = [_drawn(size_hw, [body])]
    for _ in range(int(rng.integers(1, 8))):
        start = body[rng.integers(len(body))]
        if rng.random() < 0.55:
            end = np.clip(start + rng.normal(0, 0.6, 2), -1, 1)
            knee = (start + end) / 2 + rng.normal(0, 0.12, 2)
            masks.append(_line(rng, size_hw, [start * 0.8, knee, end]))
        else:
            part = _fitted(_outline(rng)) * rng.uniform(0.12, 0.45, 2) + np.clip(start, -0.75, 0.75)
            masks.append(_drawn(size_hw, [np.clip(part, -1, 1)]))
    return masks


def _thin(rng: Rng, size_hw: tuple[int, int]) -> list[Mask]:
    """Rods and bows that hang together: a chair, a bicycle, a branch."""
    corners = rng.uniform(-0.95, 0.95, (int(rng.integers(3, 8)), 2))
    masks = [_line(rng, size_hw, list(corners))]
    for _ in range(int(rng.integers(0, 4))):
        masks.append(_line(rng, size_hw, [corners[rng.integers(len(corners))], rng.uniform(-0.95, 0.95, 2)]))
    return masks


def _line(rng: Rng, size_hw: tuple[int, int], points: list[NDArray[np.float64]]) -> Mask:
    mask = np.zeros(size_hw, np.uint8)
    half = np.array([size_hw[1] - 1, size_hw[0] - 1]) / 2
    thick = max(round(rng.uniform(0.04, 0.2) * min(size_hw)), 1)
    line = np.round((np.stack(points) + 1) * half * 2**_FRACTION).astype(np.int32)
    cv2.polylines(mask, [line], False, 255, thick, cv2.LINE_AA, _FRACTION)
    return mask


def _rugged(rng: Rng, size_hw: tuple[int, int]) -> list[Mask]:
    """Foliage, rock or food: where noise and nearness to the middle together are high."""
    height, width = size_hw
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    field = np.float32(rng.uniform(0.4, 1.2)) * (layered_noise(rng, height, width) - np.float32(0.5))
    field += np.float32(0.5) - np.float32(0.6) * (x**2 + y**2)
    mask: Mask = np.where(field > 0, 255, 0).astype(np.uint8)
    return [cv2.GaussianBlur(mask, (0, 0), 0.6)]


_SHAPES = ((0.42, _plain), (0.5, _holed), (0.84, _built), (0.91, _thin), (1.0, _rugged))


def _fill(colours: NDArray[np.uint8], part: Mask, swatch: NDArray[np.uint8]) -> None:
    share = part.astype(np.float32) / 255
    colours[...] = cv2.blendLinear(swatch, colours, share, 1 - share)


def _mark(rng: Rng, colours: NDArray[np.uint8], materials: Materials) -> None:
    """Clothes, windows, spots: other areas inside, with hard edges that are no object's."""
    size_hw = (colours.shape[0], colours.shape[1])
    for _ in range(int(rng.integers(1, 4))):
        if rng.random() < 0.4:
            level = rng.uniform(-0.6, 0.6)
            area = np.array([(-2, level + rng.uniform(-0.3, 0.3)), (2, level), (2, 3), (-2, 3)])
            area = area if rng.random() < 0.6 else area[:, ::-1]
        else:
            area = _fitted(_outline(rng)) * rng.uniform(0.1, 0.6, 2) + rng.uniform(-0.8, 0.8, 2)
        _fill(colours, _drawn(size_hw, [area]), materials.swatch(rng, size_hw))


def _shade(rng: Rng, colours: NDArray[np.uint8], alpha: Mask) -> None:
    """Light from one side, darker towards the edge: a body rather than a piece of paper."""
    height, width = alpha.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j].astype(np.float32)
    angle = rng.uniform(0, 2 * np.pi)
    light = 1 + np.float32(rng.uniform(0, 0.4)) * (np.float32(np.cos(angle)) * x + np.float32(np.sin(angle)) * y)
    if rng.random() < 0.5:
        depth = cv2.distanceTransform((alpha > 127).astype(np.uint8), cv2.DIST_L2, 3)
        reach = max(rng.uniform(0.05, 0.3) * min(height, width), 1)
        light *= np.float32(rng.uniform(0.5, 0.9)) + np.float32(0.4) * np.minimum(depth / np.float32(reach), 1)
    colours[...] = np.clip(colours * light[..., None], 0, 255).astype(np.uint8)
