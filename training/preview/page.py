"""Training samples as files: numbered sheets, and one page that holds everything and needs nothing else."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from common.publish import published_folder
from training.preview.drawing import Word, drawn_boxes, drawn_sheet, ink_on, words_of
from training.preview.shown import ShownSample

A_SHEET = 6
_PICTURE_PX = 800

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem; color: #1f2328; }
.sample { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 1rem 1.5rem; margin: 2rem 0; }
.sample h2 { grid-column: 1 / -1; font-size: 1rem; margin: 0; overflow-wrap: anywhere; }
.sample h2 small, .quiet { color: #656d76; font-weight: 400; }
img { max-width: 100%; height: auto; display: block; }
.word { border-radius: 4px; padding: 1px 4px; margin-left: 3px; }
.piece { margin-left: 0; }
.special, .padding { background: #eceef1; color: #656d76; }
.unknown { background: repeating-linear-gradient(135deg, #f2f3f5 0 4px, #d0d4d9 4px 6px); color: #656d76; }
li { overflow-wrap: anywhere; }
"""


def write_preview(samples: Sequence[ShownSample], names: Mapping[int, str], folder: Path, title: str) -> list[Path]:
    """Write `sheet-1.png`, ... and `index.html` into a new folder; answers their paths.

    Args:
        samples: at least one.
        names: image id -> what its file is called.
        folder: appears whole, or not at all.
        title: of the page.

    Raises:
        FileExistsError: something stands there already.
    """
    with published_folder(folder) as aside:
        called = [names.get(sample.image_id, f"image {sample.image_id}") for sample in samples]
        for number, start in enumerate(range(0, len(samples), A_SHEET), start=1):
            part = slice(start, start + A_SHEET)
            drawn_sheet(samples[part], called[part]).save(aside / f"sheet-{number}.png")
        (aside / "index.html").write_text(page(samples, called, title), encoding="utf-8")
    return sorted(folder.iterdir())


def page(samples: Sequence[ShownSample], names: Sequence[str], title: str) -> str:
    """One HTML document with the pictures in it."""
    articles = "\n".join(_article(sample, name) for sample, name in zip(samples, names, strict=True))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width">
<title>{escape(title)}</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>{escape(title)}</h1>
<p>Each image as the detector gets it, changed at random and padded (hatched), with its boxes. Below it the prompt it
comes with: the words of a box have the box's colour; words without a colour name nothing on the image;
<span class="word special">[CLS]</span> and the like are no words;
<span class="word unknown">hatched</span> ones count neither as there nor as absent.</p>
{articles}
</body>
</html>
"""


def _article(sample: ShownSample, name: str) -> str:
    height, width = sample.size_hw
    picture = io.BytesIO()
    drawn_boxes(sample, _PICTURE_PX, _PICTURE_PX).save(picture, "JPEG", quality=90)
    source = base64.b64encode(picture.getvalue()).decode()
    words = "".join(_word(word) for word in words_of(sample.tokens))
    counts: dict[tuple[str, str], int] = {}
    for box in sample.boxes:
        counts[box.name, box.color] = counts.get((box.name, box.color), 0) + 1
    items = "".join(
        f'<li><span class="word" style="{_ground(color)}">{escape(label)}</span> {count}</li>'
        for (label, color), count in counts.items()
    )
    boxes = f"<ul>{items}</ul>" if items else '<p class="quiet">No box: everything in the prompt is absent.</p>'
    return f"""<article class="sample">
<h2>{escape(name)} <small>step {sample.step}, {width} x {height} px</small></h2>
<img alt="" src="data:image/jpeg;base64,{source}">
<div><p>{words}</p>{boxes}</div>
</article>"""


def _word(word: Word) -> str:
    classes = f"word {word.role}{' piece' if word.piece else ''}"
    style = f' style="{_ground(*word.colors)}"' if word.colors else ""
    return f'<span class="{classes}"{style}>{escape(word.text)}</span>' + ("" if word.piece else " ")


def _ground(color: str, *others: str) -> str:
    lines = "".join(f", inset 0 -{3 * index}px {other}" for index, other in enumerate(others, start=1))
    shadow = f";box-shadow:{lines[2:]}" if lines else ""
    return f"background:{color};color:{ink_on(color)}{shadow}"
