"""The pictures of the things: concepts from Noto Color Emoji, coloured shapes as polygons; each drawn once."""

from functools import cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

from training.worlds.concepts import THINGS
from training.worlds.shapes import shape_picture

FONT_FILES = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
)
_BITMAP_PX = 109  # the only size that this bitmap font holds
_HALVINGS = 2  # smaller copies, so that a small sprite needs no large resize


class FontMissing(RuntimeError):
    """The emoji font is not installed."""


def find_font(candidates: tuple[Path, ...] = FONT_FILES) -> Path:
    """Path of the emoji font.

    Raises:
        FontMissing: it is at none of its usual places.
    """
    for path in candidates:
        if path.is_file():
            return path
    raise FontMissing(
        f"Noto Color Emoji is not at {candidates[0]}. Install it with `apt-get install fonts-noto-color-emoji`."
    )


@cache
def sprite(concept: int, at_least_px: int) -> Image.Image:
    """RGBA picture of a concept, cropped to what is drawn, at least `at_least_px` high where the font allows.

    `concept` is an index into `THINGS`.

    Raises:
        FontMissing: see `find_font`.
    """
    image = _drawn(concept)
    for _ in range(_HALVINGS):
        if image.height // 2 < at_least_px:
            break
        image = image.reduce(2)
    return image


@cache
def _drawn(concept: int) -> Image.Image:
    if not THINGS[concept].emoji:
        colour, shape = THINGS[concept].name.split()
        return shape_picture(shape, colour)
    image = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(image).text((8, 8), THINGS[concept].emoji, font=_font(), embedded_color=True)
    return image.crop(image.getbbox())


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(find_font(), _BITMAP_PX)
