"""Pictures as the browser gets them."""

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.routes.pictures import Source, picture, thumbnail, width_for
from common.images import ImageRefused


def saved(path: Path, image: Image.Image, upright: tuple[int, int], **options: object) -> Source:
    """An image on the disk as the database knows it."""
    image.save(path, **options)  # type: ignore[arg-type]
    return Source(path, hashlib.sha256(path.read_bytes()).hexdigest(), *upright)


def halves(width: int, height: int) -> Image.Image:
    """Red on the left, blue on the right."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2] = (250, 0, 0)
    pixels[:, width // 2 :] = (0, 0, 250)
    return Image.fromarray(pixels)


@pytest.mark.parametrize(("name", "media_type"), [("a.jpg", "image/jpeg"), ("a.png", "image/png")])
def test_a_plain_original_is_served_as_it_is(tmp_path: Path, name: str, media_type: str) -> None:
    source = saved(tmp_path / name, halves(40, 30), (40, 30))
    served = picture(source, 40, tmp_path / "cache")
    assert (served.path, served.media_type) == (source.path, media_type)
    assert not (tmp_path / "cache").exists()


def test_a_turned_photo_comes_upright_and_the_original_stays_untouched(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise: the left half ends at the top
    source = saved(tmp_path / "a.jpg", halves(40, 30), (30, 40), exif=exif)
    before = source.path.read_bytes()
    served = picture(source, 30, tmp_path / "cache")
    with Image.open(served.path) as image:
        assert image.size == (30, 40)
        assert image.getexif().get(0x0112, 1) == 1
        top, bottom = image.getpixel((15, 4)), image.getpixel((15, 36))
    assert isinstance(top, tuple) and isinstance(bottom, tuple)
    assert top[0] > 200 and bottom[2] > 200
    assert source.path.read_bytes() == before


def test_alpha_sixteen_bits_cmyk_and_tiff_become_plain_jpegs(tmp_path: Path) -> None:
    deep = Image.fromarray(np.full((30, 40), 40_000, np.uint16))
    images = {
        "alpha.png": Image.new("RGBA", (40, 30), (0, 0, 0, 0)),
        "deep.png": deep,
        "ink.jpg": Image.new("CMYK", (40, 30)),
        "scan.tif": halves(40, 30),
        "palette.gif": halves(40, 30).convert("P"),
    }
    for name, image in images.items():
        served = picture(saved(tmp_path / name, image, (40, 30)), 40, tmp_path / "cache")
        with Image.open(served.path) as opened:
            assert (opened.format, opened.mode, opened.size) == ("JPEG", "RGB", (40, 30)), name


def test_a_smaller_picture_is_made_once(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", halves(800, 400), (800, 400))
    served = picture(source, 320, tmp_path / "cache")
    with Image.open(served.path) as image:
        assert image.size == (320, 160)
    made = served.path.stat().st_mtime_ns
    assert picture(source, 320, tmp_path / "cache").path.stat().st_mtime_ns == made
    assert [path.name for path in (tmp_path / "cache").rglob("*.jpg")] == [f"{source.sha256}-320.jpg"]


def test_a_thumbnail_has_a_longest_side_of_160_px_and_is_never_larger_than_the_image(tmp_path: Path) -> None:
    tall = thumbnail(saved(tmp_path / "tall.png", halves(100, 400), (100, 400)), tmp_path / "cache")
    with Image.open(tall.path) as image:
        assert image.size == (40, 160)
    small = thumbnail(saved(tmp_path / "small.png", halves(20, 10), (20, 10)), tmp_path / "cache")
    with Image.open(small.path) as image:
        assert image.size == (20, 10)


@pytest.mark.parametrize(
    ("wanted", "width"), [(None, 1000), (1, 160), (160, 160), (161, 320), (961, 1000), (1000, 1000), (99_999, 1000)]
)
def test_widths_come_in_few_steps_and_end_at_the_original(wanted: int | None, width: int) -> None:
    assert width_for(wanted, Source(Path("a.png"), "0" * 64, 1000, 500)) == width


def test_an_original_that_is_gone_is_named_with_its_place(tmp_path: Path) -> None:
    source = Source(tmp_path / "gone.jpg", "0" * 64, 40, 30)
    with pytest.raises(
        ImageRefused, match=r"^'gone\.jpg' is no longer where it was imported from: put it back at [^\n]+$"
    ):
        picture(source, 40, tmp_path / "cache")


def test_an_original_that_was_replaced_by_another_size_is_refused(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.png", halves(40, 30), (400, 300))
    with pytest.raises(ImageRefused, match="is now 40 x 30 px, but was 400 x 300 px"):
        picture(source, 400, tmp_path / "cache")
    with pytest.raises(ImageRefused, match="is now 40 x 30 px, but was 400 x 300 px"):
        thumbnail(source, tmp_path / "cache")
    assert not list(tmp_path.rglob("*-thumbnail.jpg"))


def test_a_damaged_original_leaves_nothing_in_the_cache(tmp_path: Path) -> None:
    source = saved(tmp_path / "a.jpg", halves(400, 300), (400, 300))
    source.path.write_bytes(source.path.read_bytes()[:2000])
    with pytest.raises(ImageRefused):
        picture(source, 160, tmp_path / "cache")
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file()]
