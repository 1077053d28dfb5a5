"""What lies behind the things of a scene."""

import numpy as np
from PIL import Image, ImageDraw

Rng = np.random.Generator
Size = tuple[int, int]  # width, height, as Pillow counts


def background(rng: Rng, size: Size, shapes_share: float = 0.4) -> Image.Image:
    """An RGB picture of nothing in particular: soft colours, a wall or a horizon, sometimes grain and plain shapes."""
    kinds = (_clouds, _clouds, _wall, _horizon)
    image = kinds[rng.integers(len(kinds))](rng, size)
    if rng.random() < shapes_share:
        _draw_shapes(rng, image)
    if rng.random() < 0.5:
        image = Image.blend(image, _grain(rng, size), rng.uniform(0.05, 0.2))
    return image


def _clouds(rng: Rng, size: Size) -> Image.Image:
    cells = rng.integers(2, 9)
    colours = rng.integers(0, 256, (cells, cells, 3), dtype=np.uint8)
    return Image.fromarray(colours).resize(size, Image.Resampling.BICUBIC)


def _wall(rng: Rng, size: Size) -> Image.Image:
    base = rng.integers(0, 256, 3)
    shades = np.clip(base + rng.integers(-25, 26, (3, 3, 1)), 0, 255).astype(np.uint8)
    return Image.fromarray(shades).resize(size, Image.Resampling.BILINEAR)


def _horizon(rng: Rng, size: Size) -> Image.Image:
    rows = rng.integers(0, 256, (4, 1, 3), dtype=np.uint8)
    image = Image.fromarray(rows).resize(size, Image.Resampling.BILINEAR)
    ground = int(size[1] * rng.uniform(0.4, 0.9))
    image.paste(_colour(rng), (0, ground, size[0], size[1]))
    return image


def _draw_shapes(rng: Rng, image: Image.Image) -> None:
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(1, 6)):
        x, y = rng.uniform(-0.2, 1.0, 2) * image.size
        width, height = rng.uniform(0.05, 0.5, 2) * image.size
        corners = (x, y, x + width, y + height)
        kind = rng.integers(3)
        if kind == 0:
            draw.rectangle(corners, fill=_colour(rng))
        elif kind == 1:
            draw.ellipse(corners, fill=_colour(rng))
        else:
            draw.line(corners, fill=_colour(rng), width=int(rng.integers(1, 7)))


def _grain(rng: Rng, size: Size) -> Image.Image:
    noise = rng.integers(0, 256, (max(size[1] // 3, 1), max(size[0] // 3, 1), 3), dtype=np.uint8)
    return Image.fromarray(noise).resize(size, Image.Resampling.NEAREST)


def _colour(rng: Rng) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue
