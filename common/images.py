"""Untrusted image files, read into the one upright pixel frame."""

import hashlib
import io
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

ImageRGB = NDArray[np.uint8]  # (H, W, 3), upright

MAX_PIXELS = 120_000_000
"""Images with more pixels are refused before they are decoded."""

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF")
"""The only decoders that run on a stranger's bytes."""

EXTENSIONS = frozenset({".jpg", ".jpeg", ".jpe", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif"})

_EXIF_ORIENTATION = 0x0112
_SIDEWAYS = frozenset({5, 6, 7, 8})  # EXIF orientations that swap width and height


class ImageRefused(ValueError):
    """An image that can't be used; the text is one line for a person."""


@dataclass(frozen=True)
class ImageInfo:
    """What there is to know of an image file without keeping its pixels.

    `width` and `height` are those of the upright image, in pixels; `sha256` is that of the file's bytes.
    """

    width: int
    height: int
    sha256: str
    format: str


def read_image(source: Path | bytes, max_pixels: int = MAX_PIXELS, name: str = "") -> ImageRGB:
    """The pixels of an image, upright: EXIF orientation is applied here, once, and nowhere else.

    16-bit images are scaled to 8, transparency is laid over white, grey, palette and CMYK become RGB,
    of an animation the first frame counts. A refusal calls the image `name`; without one, what its file is called.

    Returns:
        (H, W, 3) uint8 RGB, writable and contiguous.

    Raises:
        ImageRefused: no file, no image, truncated, or more than `max_pixels`.
    """
    with _opened(source, max_pixels, name) as image:
        rgb = _rgb(image)
        ImageOps.exif_transpose(rgb, in_place=True)  # a copy of a large picture is hundreds of megabytes
        return np.array(rgb, dtype=np.uint8)


def read_indexed(path: Path, width: int, height: int) -> ImageRGB:
    """The pixels of an image that was indexed with this upright size: boxes drawn on another picture would be wrong.

    Raises:
        ImageRefused: as `read_image`; the file is gone, or its size is another.
    """
    check_there(path)
    pixels = read_image(path)
    check_unchanged(path, (pixels.shape[1], pixels.shape[0]), (width, height))
    return pixels


def check_there(path: Path) -> None:
    """Refuse an indexed image whose file is gone."""
    if not path.is_file():
        raise ImageRefused(f"{path.name!r} is no longer where it was imported from: put it back at {path}.")


def check_unchanged(path: Path, size_wh: tuple[int, int], indexed_wh: tuple[int, int]) -> None:
    """Refuse an indexed image that is not of the size it had."""
    if size_wh != indexed_wh:
        raise ImageRefused(
            f"{path.name!r} is now {size_wh[0]} x {size_wh[1]} px, but was {indexed_wh[0]} x {indexed_wh[1]} px when "
            "it was imported: restore the original, or import the new one under another name."
        )


def probe_image(path: Path, max_pixels: int = MAX_PIXELS) -> ImageInfo:
    """Size, digest and format of an image file, decoded once so that a truncated one is noticed now.

    Raises:
        ImageRefused: as `read_image`.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ImageRefused(_unreadable(path, error)) from error
    with _opened(content, max_pixels, path.name) as image:
        width, height = image.size
        if image.getexif().get(_EXIF_ORIENTATION) in _SIDEWAYS:
            width, height = height, width
        image_format = image.format or "unknown"
    return ImageInfo(width, height, hashlib.sha256(content).hexdigest(), image_format)


@contextmanager
def _opened(source: Path | bytes, max_pixels: int, name: str = "") -> Iterator[Image.Image]:
    """A decoded Pillow image; every way it can fail becomes one `ImageRefused`."""
    label = repr(name or (source.name if isinstance(source, Path) else "the image"))
    try:
        # Pillow only warns between one and two times its own limit; ours is checked before any decoding.
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            file = source if isinstance(source, Path) else io.BytesIO(source)
            with Image.open(file, formats=FORMATS) as image:
                _check_size(image.size, max_pixels, label)
                image.load()
                yield image
    except ImageRefused:
        raise
    except Image.DecompressionBombError as error:
        count = re.search(r"\d+", str(error))  # Pillow refused it first: the size is in its words alone
        has = f"{int(count.group()):,} pixels" if count else "too many pixels"
        raise ImageRefused(
            f"{label} has {has}, above the limit of {max_pixels:,}: scale it down or cut it into tiles."
        ) from error
    except UnidentifiedImageError as error:
        raise ImageRefused(f"{label} is not an image of a known format ({', '.join(FORMATS)}).") from error
    except (OSError, SyntaxError, ValueError, EOFError, MemoryError) as error:
        if isinstance(source, Path) and isinstance(error, OSError) and error.errno is not None:
            raise ImageRefused(_unreadable(source, error)) from error
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ImageRefused(f"{label} can't be decoded ({reason}): the file is damaged or incomplete.") from error


def _unreadable(path: Path, error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return f"There is no image at {str(path)!r}: check the path."
    if isinstance(error, IsADirectoryError):
        return f"{str(path)!r} is a folder: name the images in it."
    return f"{str(path)!r} can't be read ({error.strerror or error}): check the file and who may read it."


def _check_size(size: tuple[int, int], max_pixels: int, label: str) -> None:
    width, height = size
    if width * height > max_pixels:
        raise ImageRefused(
            f"{label} is {width:,} x {height:,} pixels, above the limit of {max_pixels:,}: "
            "scale it down or cut it into tiles."
        )


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        return _from_deep(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
        flat.info = image.info  # exif_transpose reads the orientation from here
        return flat
    return image if image.mode == "RGB" else image.convert("RGB")


def _from_deep(image: Image.Image) -> Image.Image:
    """16-bit, 32-bit and float greys, scaled to 8 bits by the range of their type (by their own range beyond it)."""
    values = np.asarray(image).astype(np.float64)
    finite = np.nan_to_num(values, nan=0.0, posinf=65535.0, neginf=0.0)
    highest = max(float(finite.max(initial=0.0)), 1.0)
    white = next((limit for limit in (1.0, 255.0, 65535.0) if highest <= limit), highest)
    if image.mode != "F":
        white = max(white, 65535.0)
    grey = Image.fromarray((np.clip(finite / white, 0, 1) * 255).round().astype(np.uint8))
    grey.info = image.info
    rgb = grey.convert("RGB")
    rgb.getexif().update(image.getexif())
    return rgb
