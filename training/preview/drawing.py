"""Sheets of training samples as pictures: boxes in their colours, the words under them in the same."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import groupby

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from training.checks.problem import counted
from training.preview.shown import Role, ShownSample, ShownToken

_CELL_PX = 440
_GAP_PX = 20
_MOST_HIGH_PX = 440
_TEXT_PX = 15
_LINE_PX = 26
_PAD_PX = 4  # inside a word's ground
_SMALL_PX = 16  # of a box that a thick line would cover
_STOPS = (".", ",", "?")
_INK, _QUIET, _PAPER, _GROUND = "#1f2328", "#8b929a", "#ffffff", "#eceef1"

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Word:
    """Neighbouring pieces of one word that look alike: what stands in one ground."""

    text: str
    role: Role
    colors: tuple[str, ...]
    piece: bool

    @property
    def looks(self) -> tuple[Role, tuple[str, ...]]:
        """What it has in common with the words of its phrase."""
        return self.role, self.colors

    @property
    def has_ground(self) -> bool:
        """Whether it stands on a coloured, grey or hatched ground."""
        return self.role != "name" or bool(self.colors)

    @property
    def pad(self) -> int:
        """Pixels of ground on its left and on its right."""
        return _PAD_PX if self.has_ground else 0


def drawn_sheet(samples: Sequence[ShownSample], names: Sequence[str], columns: int = 3) -> Image.Image:
    """Samples side by side, each with its title, its picture and its prompt.

    Args:
        samples: at least one.
        names: what each is called, such as its file's name.
        columns: at most so many stand side by side.
    """
    cells = [_cell(sample, name) for sample, name in zip(samples, names, strict=True)]
    columns = min(columns, len(cells))
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    width = columns * (_CELL_PX + _GAP_PX) + _GAP_PX
    sheet = Image.new("RGB", (width, sum(heights) + _GAP_PX * (len(rows) + 1)), _PAPER)
    top = _GAP_PX
    for row, height in zip(rows, heights, strict=True):
        for column, cell in enumerate(row):
            sheet.paste(cell, (_GAP_PX + column * (_CELL_PX + _GAP_PX), top))
        top += height + _GAP_PX
    return sheet


def drawn_boxes(sample: ShownSample, width: int = _CELL_PX, most_high: int = _MOST_HIGH_PX) -> Image.Image:
    """The picture of a sample, scaled into that room, with its boxes."""
    height = sample.image.shape[0]
    scale = min(width / sample.image.shape[1], most_high / height)
    size = (max(1, round(sample.image.shape[1] * scale)), max(1, round(height * scale)))
    picture = Image.fromarray(sample.image).resize(size, Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for box in sample.boxes:
        x1, y1, x2, y2 = (value * scale for value in box.xyxy)
        corners = (x1, y1, max(x1 + 1, x2 - 1), max(y1 + 1, y2 - 1))
        small = min(x2 - x1, y2 - y1) < _SMALL_PX
        if not small:
            draw.rectangle(corners, outline=_PAPER, width=4)
        draw.rectangle(corners, outline=box.color, width=1 if small else 2)
    return picture


def words_of(tokens: Sequence[ShownToken]) -> list[Word]:
    """The tokens with the pieces of a word put together again, padding counted."""
    words: list[Word] = []
    for padding, group in groupby(tokens, key=lambda token: token.role == "padding"):
        if padding:
            words.append(Word(f"[PAD] x {len(list(group))}", "padding", (), piece=False))
            continue
        for token in group:
            last = words[-1] if words else None
            if token.piece and last and last.looks == (token.role, token.colors):
                words[-1] = Word(last.text + token.text, last.role, last.colors, last.piece)
            else:
                words.append(Word(token.text, token.role, token.colors, token.piece))
    return words


def ink_on(color: str) -> str:
    """Black or white, whichever is easier to read on a colour (its luminance by ITU-R BT.601)."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return "#000000" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "#ffffff"


def _cell(sample: ShownSample, name: str) -> Image.Image:
    picture = drawn_boxes(sample)
    lines = list(_lines(words_of(sample.tokens)))
    top = _LINE_PX + picture.height + _GAP_PX // 2
    cell = Image.new("RGB", (_CELL_PX, top + len(lines) * _LINE_PX), _PAPER)
    draw = ImageDraw.Draw(cell)
    height, width = sample.size_hw
    facts = f"step {sample.step} · {width} x {height} px · {counted(len(sample.boxes), 'box', 'boxes')}"
    draw.text((0, 0), _fitted(name, _CELL_PX - draw.textlength(facts, _font(12)) - _GAP_PX), _INK, _font())
    draw.text((_CELL_PX, 3), facts, _QUIET, _font(12), anchor="ra")
    cell.paste(picture, (0, _LINE_PX))
    for number, line in enumerate(lines):
        before: tuple[float, Word] | None = None
        for left, word in line:
            joined = before is not None and word.has_ground and before[1].looks == word.looks
            start = before[0] + _width(before[1]) - 2 * _PAD_PX if before and joined else left
            _draw_ground(cell, draw, (start, top + number * _LINE_PX, left + _width(word)), word)
            before = left, word
        for left, word in line:
            ink = ink_on(word.colors[0]) if word.colors else _QUIET if word.has_ground else _INK
            draw.text((left + word.pad, top + number * _LINE_PX + 1), word.text, ink, _font())
    return cell


def _lines(words: Sequence[Word]) -> Iterator[list[tuple[float, Word]]]:
    """Words with their left edges, broken where a line is full."""
    line: list[tuple[float, Word]] = []
    left = 0.0
    for word in words:
        gap = 0.0 if _follows(word) or not line else 6.0
        wide = _width(word)
        if line and left + gap + wide > _CELL_PX and not _follows(word):
            yield line
            line, left, gap = [], 0.0, 0.0
        line.append((left + gap, word))
        left += gap + wide
    if line:
        yield line


def _follows(word: Word) -> bool:
    """Whether it stands right behind the word before it: a piece, or a stop."""
    return word.piece or word.text in _STOPS


def _width(word: Word) -> float:
    return _font().getlength(word.text) + 2 * word.pad


def _draw_ground(cell: Image.Image, draw: ImageDraw.ImageDraw, place: tuple[float, float, float], word: Word) -> None:
    """What lies under a word, from left to right at a height."""
    left, top, right = place
    bottom = top + _LINE_PX - 5
    if word.colors:
        draw.rounded_rectangle((left, top, right, bottom), 4, fill=word.colors[0])
        for index, color in enumerate(
            word.colors[1:4]
        ):  # a word of several labels is underlined in the others' colours
            draw.rectangle((left, bottom - 3 * index - 2, right, bottom - 3 * index), fill=color)
    elif word.role == "unknown":
        _hatch(cell, (round(left), round(top), round(right), round(bottom)))
    elif word.has_ground:
        draw.rounded_rectangle((left, top, right, bottom), 4, fill=_GROUND)


def _hatch(cell: Image.Image, box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    rows, columns = np.indices((bottom - top, right - left))
    grey = np.where((rows + columns) % 6 < 2, 200, 240).astype(np.uint8)
    cell.paste(Image.fromarray(np.repeat(grey[:, :, None], 3, axis=2)), (left, top))


def _fitted(text: str, room: float) -> str:
    font = _font()
    if font.getlength(text) <= room:
        return text
    while text and font.getlength(f"{text}…") > room:
        text = text[:-1]
    return f"{text}…"


@cache  # reading it takes longer than drawing with it
def _font(size_px: int = _TEXT_PX) -> Font:
    return ImageFont.load_default(size_px)
