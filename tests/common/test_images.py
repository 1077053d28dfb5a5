import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from common.images import ImageRefused, probe_image, read_image


@pytest.fixture
def picture() -> Image.Image:
    """3 x 2 pixels, all different, so that any turn shows."""
    return Image.fromarray(np.arange(18, dtype=np.uint8).reshape(2, 3, 3) * 10)


def png(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", **options)
    return buffer.getvalue()


def turned(image: Image.Image, orientation: int) -> bytes:
    """The picture stored so that `orientation` makes it upright."""
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = image if undo is None else image.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    return png(stored, exif=exif)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation_reads_as_the_same_pixels(picture: Image.Image, orientation: int) -> None:
    assert np.array_equal(read_image(turned(picture, orientation)), np.asarray(picture))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_probe_tells_the_upright_size(picture: Image.Image, orientation: int, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(turned(picture, orientation))
    info = probe_image(path)
    assert (info.width, info.height) == (3, 2)


def test_sixteen_bits_are_scaled_to_eight() -> None:
    deep = Image.fromarray(np.array([[0, 65535], [32768, 257]], np.uint16))
    assert read_image(png(deep))[..., 0].tolist() == [[0, 255], [128, 1]]


def test_transparency_is_laid_over_white() -> None:
    clear = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
    assert read_image(png(clear)).tolist() == [[[255, 255, 255]]]


def test_a_turned_picture_with_transparency_is_upright_too(picture: Image.Image) -> None:
    assert np.array_equal(read_image(turned(picture.convert("RGBA"), 6)), np.asarray(picture))


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "LA", "LAB"])
def test_every_colour_mode_becomes_rgb(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (4, 3), (200, 100, 50)).convert(mode).save(buffer, "TIFF")
    assert read_image(buffer.getvalue()).shape == (3, 4, 3)


def test_of_an_animation_the_first_frame_counts() -> None:
    frames = [Image.new("RGB", (2, 2), colour) for colour in ("red", "blue")]
    buffer = io.BytesIO()
    frames[0].save(buffer, "GIF", save_all=True, append_images=frames[1:])
    assert read_image(buffer.getvalue())[0, 0].tolist() == [255, 0, 0]


def test_a_truncated_file_is_refused_in_one_line(tmp_path: Path) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    buffer = io.BytesIO()
    noise.save(buffer, "JPEG")
    path = tmp_path / "half.jpg"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    with pytest.raises(ImageRefused, match=r"'half.jpg' can't be decoded.*damaged or incomplete") as refused:
        probe_image(path)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"hello", b"%!PS-Adobe-3.0 EPSF-3.0", b"8BPS\x00\x01"])
def test_what_is_no_image_is_refused(content: bytes) -> None:
    with pytest.raises(ImageRefused, match="not an image of a known format"):
        read_image(content)


def test_a_bomb_is_refused_by_its_header_before_it_is_decoded() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 30_000, 30_000, 8, 2, 0, 0, 0))
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")
    with pytest.raises(ImageRefused, match=r"900,000,000 pixels, above the limit of 120,000,000"):
        read_image(bomb)


def test_a_missing_file_is_refused_by_name(tmp_path: Path) -> None:
    for read in (read_image, probe_image):
        with pytest.raises(ImageRefused, match=r"There is no image at '.*gone\.jpg': check the path"):
            read(tmp_path / "gone.jpg")


def test_a_folder_is_no_image_and_the_line_says_so(tmp_path: Path) -> None:
    for read in (read_image, probe_image):
        with pytest.raises(ImageRefused, match=r"' is a folder: name the images in it"):
            read(tmp_path)
