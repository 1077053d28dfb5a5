"""Pictures as a browser gets them: upright, in a format it knows, scaled down on request, cached on disk.

Originals are only read. Knows no database and no HTTP.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from common.images import check_there, check_unchanged, read_indexed
from common.publish import published_file

WIDTHS_PX = (160, 320, 640, 960, 1280, 1920, 2560, 3840)  # few, so that the cache stays small
THUMBNAIL_PX = 160  # longest side
_EXIF_ORIENTATION = 0x0112
_PLAIN = {"JPEG": "image/jpeg", "PNG": "image/png"}


@dataclass(frozen=True)
class Source:
    """An indexed original: where it lies, its digest, and its upright size in pixels."""

    path: Path
    sha256: str
    width: int
    height: int


@dataclass(frozen=True)
class Picture:
    """A file a browser can show as it is."""

    path: Path
    media_type: str


def width_for(wanted: int | None, source: Source) -> int:
    """The width to serve: the smallest step of `WIDTHS_PX` that is at least `wanted`, never above the original's."""
    if wanted is None:
        return source.width
    return next((step for step in WIDTHS_PX if wanted <= step < source.width), source.width)


def picture(source: Source, width: int, cache: Path) -> Picture:
    """The picture `width` pixels wide.

    An original that a browser shows right without our help is served as it is, untouched; anything else
    (EXIF orientation, 16 bits, alpha, CMYK, TIFF ...) is converted once into the cache.

    Raises:
        ImageRefused: the original is gone, damaged, or not the one that was imported.
    """
    if width >= source.width:
        media_type = _plain_type(source)
        if media_type:
            return Picture(source.path, media_type)
        return _cached(source, cache, f"{source.width}", lambda image: image, quality=95)
    height = max(1, round(source.height * width / source.width))
    return _cached(source, cache, f"{width}", lambda image: image.resize((width, height), Image.Resampling.LANCZOS))


def thumbnail(source: Source, cache: Path) -> Picture:
    """The picture scaled so that its longest side is at most `THUMBNAIL_PX`.

    Raises:
        ImageRefused: as `picture`.
    """
    scale = min(1.0, THUMBNAIL_PX / max(source.width, source.height))
    size = (max(1, round(source.width * scale)), max(1, round(source.height * scale)))
    return _cached(source, cache, "thumbnail", lambda image: image.resize(size, Image.Resampling.LANCZOS))


def _cached(
    source: Source, cache: Path, kind: str, scale: Callable[[Image.Image], Image.Image], quality: int = 85
) -> Picture:
    path = cache / "pictures" / source.sha256[:2] / f"{source.sha256}-{kind}.jpg"
    if not path.exists():
        image = scale(Image.fromarray(read_indexed(source.path, source.width, source.height)))
        with published_file(path) as aside:
            image.save(aside, "JPEG", quality=quality, subsampling=0 if quality > 90 else -1)
    return Picture(path, "image/jpeg")


def _plain_type(source: Source) -> str | None:
    """The media type of an original that needs no conversion, else None; reads its header only."""
    check_there(source.path)
    try:
        with Image.open(source.path, formats=("JPEG", "PNG")) as image:
            turned = image.getexif().get(_EXIF_ORIENTATION, 1) != 1
            plain = image.mode in ("RGB", "L") and not image.has_transparency_data and not turned
            if not plain or image.format not in _PLAIN or getattr(image, "n_frames", 1) != 1:
                return None
            check_unchanged(source.path, image.size, (source.width, source.height))
            return _PLAIN[image.format]
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, SyntaxError, ValueError):
        return None  # read_image says what is wrong, if anything
