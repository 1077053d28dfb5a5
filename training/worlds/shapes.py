"""Pictures of plain coloured shapes."""

import math

from PIL import Image, ImageDraw

from training.worlds.concepts import SHAPE_COLOURS

_SIDE_PX = 128
_FINER = 4  # drawn so much larger, then reduced, for smooth edges


def shape_picture(shape: str, colour: str) -> Image.Image:
    """RGBA picture of a shape with a thin rim, which shows it on a background of its own colour."""
    side = _SIDE_PX * _FINER
    image = Image.new("RGBA", (side, side))
    draw = ImageDraw.Draw(image)
    rgb = SHAPE_COLOURS[colour]
    rim = tuple(level // 2 for level in rgb) if sum(rgb) > 200 else (150, 150, 150)
    width = side // 32
    inner = (width, width, side - width, side - width)
    if shape == "circle":
        draw.ellipse(inner, fill=rgb, outline=rim, width=width)
    elif shape == "square":
        draw.rectangle(inner, fill=rgb, outline=rim, width=width)
    else:
        points = _corners(shape, side / 2)
        draw.polygon(points, fill=rgb)
        draw.line([*points, points[0], points[1]], fill=rim, width=width, joint="curve")
    image = image.reduce(_FINER)
    return image.crop(image.getbbox())


def _corners(shape: str, radius: float) -> list[tuple[float, float]]:
    """The corners of a triangle or of a star with five points, its first on top."""
    radii = (0.94, 0.94, 0.94) if shape == "triangle" else (0.94, 0.4) * 5
    turns = [2 * math.pi * corner / len(radii) for corner in range(len(radii))]
    return [
        (radius * (1 + part * math.sin(turn)), radius * (1 - part * math.cos(turn)))
        for part, turn in zip(radii, turns, strict=True)
    ]
