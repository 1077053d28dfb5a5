"""The pictures of the things: concepts from Noto Color Emoji, coloured shapes from their outlines."""

from functools import cache, lru_cache
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from training.worlds.concepts import SHAPE_COLOURS, THINGS
from training.worlds.shapes import shape_masks

Picture = NDArray[np.uint8]
"""(H, W, 4) RGBA, the colours multiplied by alpha, as they are added to a background."""

FONT_FILES = (
    Path("/usr/share/fonts/truetype/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/noto/NotoColorEmoji.ttf"),
    Path("/usr/share/fonts/google-noto-emoji/NotoColorEmoji.ttf"),
)
_BITMAP_PX = 109  # the only size that this bitmap font holds
_EMOJI_PX = 128  # about, of the longer side of what is drawn
_HALVINGS = 3  # smaller copies, so that a small sprite is not made from few pixels of a large one
_LARGE_KEPT = 640  # emojis that stay in memory, 50 kB each: drawing one takes a millisecond
_SMALL_KEPT = 2048  # smaller copies, 13 kB and less each


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


def sprite(thing: int, at_least_px: int) -> Picture:
    """Picture of `THINGS[thing]` without its texture, cropped to what is drawn; not to be written to.

    Its longer side is at least `at_least_px` where the font allows (about 130).

    Raises:
        FontMissing: see `find_font`.
    """
    concept = THINGS[thing]
    if not concept.emoji:
        return _shape(concept.noun, concept.colour, shape_halvings(concept.noun, at_least_px))
    picture = _emoji(concept.emoji, at_least_px)
    return tinted(picture, SHAPE_COLOURS[concept.colour]) if concept.tinted else picture


def shape_halvings(shape: str, at_least_px: int) -> int:
    """How often the masks of a shape are halved for its sprite."""
    return _halvings(max(shape_masks(shape)[0].shape), at_least_px)


def halved(picture: NDArray[np.uint8], times: int) -> NDArray[np.uint8]:
    """The picture at a half of its sides, a quarter, and so on."""
    if not times:
        return picture
    height, width = (max(round(side / 2**times), 1) for side in picture.shape[:2])
    result: NDArray[np.uint8] = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA)
    return result


def tinted(picture: Picture, rgb: tuple[int, int, int]) -> Picture:
    """The picture in shades of one colour: its darkest parts dark, its brightest a little paler than the colour."""
    alpha = picture[..., 3]
    grey = cv2.divide(cv2.cvtColor(picture, cv2.COLOR_RGBA2GRAY), alpha, scale=255)
    counts = np.cumsum(np.bincount(grey[alpha > 127], minlength=256))
    dark, bright = np.searchsorted(counts, (0.03 * counts[-1], 0.97 * counts[-1])).tolist()
    share = np.clip((np.arange(256) - dark) / max(bright - dark, 48), 0, 1)[:, None]
    colour = np.asarray(rgb, np.float64)
    pale = colour + 0.3 * (255 - colour)
    shades = np.where(share < 0.6, colour * (0.4 + share), colour + (pale - colour) * (share - 0.6) / 0.4)
    colours = cv2.applyColorMap(grey, shades.round().astype(np.uint8)[:, None])
    return with_alpha(colours, alpha)


def with_alpha(colours: NDArray[np.uint8], alpha: NDArray[np.uint8]) -> Picture:
    """RGBA of full colours (H, W, 3) and alpha (H, W)."""
    covered = cv2.multiply(colours, cv2.merge((alpha, alpha, alpha)), scale=1 / 255)
    picture: Picture = cv2.merge((*cv2.split(covered), alpha))
    return picture


def _emoji(emoji: str, at_least_px: int) -> Picture:
    times = _halvings(_EMOJI_PX, at_least_px)
    return _emoji_copy(emoji, times) if times else _emoji_drawn(emoji)


def _halvings(side_px: int, at_least_px: int) -> int:
    return next((times for times in range(_HALVINGS, 0, -1) if side_px >> times >= at_least_px), 0)


@lru_cache(_SMALL_KEPT)
def _emoji_copy(emoji: str, times: int) -> Picture:
    return halved(_emoji_drawn(emoji), times)


@lru_cache(_LARGE_KEPT)
def _emoji_drawn(emoji: str) -> Picture:
    image = Image.new("RGBA", (192, 160))
    ImageDraw.Draw(image).text((8, 8), emoji, font=_font(), embedded_color=True)
    drawn: Picture = np.array(image.crop(image.getbbox()))
    return drawn  # on nothing, Pillow's colours are multiplied by alpha already


@lru_cache(_SMALL_KEPT)
def _shape(shape: str, colour: str, times: int) -> Picture:
    """A shape in its colour with a thin rim, which shows it on a background of its own colour."""
    rgb = np.array(SHAPE_COLOURS[colour], np.float32)
    rim = rgb / 2 if rgb.sum() > 200 else np.full(3, 150, np.float32)
    whole, inner = (halved(mask, times) for mask in shape_masks(shape))
    share = np.minimum(inner, whole)[..., None] / np.maximum(whole, 1)[..., None].astype(np.float32)
    colours = rim + (rgb - rim) * share
    return with_alpha(colours.round().astype(np.uint8), whole)


@cache
def _font() -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(find_font(), _BITMAP_PX)
