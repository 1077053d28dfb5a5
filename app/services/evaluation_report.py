"""An evaluation as a folder to keep or to send: report.json, and report.html that needs nothing beside it."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.services.evaluating import Measured
from app.services.markup import Markup, element, score, text
from app.services.report_pictures import worst_pictures
from common.publish import published_folder

STYLE = Path(__file__).with_name("report.css")

MOST_CURVES = 12
"""Categories whose curves are drawn, those with the most labels."""

MOST_CELLS = 40
"""Categories a side of the drawn confusion matrix; report.json has all."""

_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 300, 200, 34, 24


def publish_report(measured: Measured, folder: Path) -> None:
    """Write the report.

    Raises:
        FileExistsError: something stands at `folder` already.
    """
    facts = json.loads(json.dumps(measured.document.as_json(), allow_nan=False))
    pictures = worst_pictures(measured)
    with published_folder(folder) as aside:
        (aside / "report.json").write_text(json.dumps(facts, indent=2, ensure_ascii=False), encoding="utf-8")
        (aside / "report.html").write_text(report_html(facts, pictures), encoding="utf-8")


def report_html(facts: Mapping[str, Any], pictures: Markup | None = None) -> str:
    """The page of an evaluation document, all of it in one text."""
    where = f"the {facts['split']} split" if facts["split"] else "all annotated images"
    title = f"{facts['detector']} on {facts['dataset']}"
    head = element(
        "head",
        {},
        element("meta", {"charset": "utf-8"}),
        element("meta", {"name": "viewport", "content": "width=device-width"}),
        element("title", {}, text(title)),
        element("style", {}, Markup(STYLE.read_text(encoding="utf-8"))),
    )
    sections = [_metrics(facts["metrics"]), _per_category(facts)]
    if "curves" in facts:
        sections += [_curves(facts), _confusion(facts["confusion"])]
    lead = element("p", {}, text(f"{facts['images']} images, {where} · task {facts['task']}"))
    if skipped := facts.get("skipped"):
        what = f"{skipped['count']} left out, as it can't be read: {skipped['reasons'][0]}"
        sections.insert(0, element("p", {}, text(what)))
    body = element("body", {}, element("h1", {}, text(title)), lead, *sections, *([pictures] if pictures else []))
    return f"<!doctype html>\n{element('html', {'lang': 'en'}, head, body)}\n"


def _metrics(metrics: Mapping[str, float | None]) -> Markup:
    tiles = [element("div", {}, element("b", {}, score(value)), text(name)) for name, value in metrics.items()]
    return element("div", {"class": "card tiles"}, *tiles)


def _per_category(facts: Mapping[str, Any]) -> Markup:
    columns = list(dict.fromkeys(key for row in facts["per_category"].values() for key in row))
    suggested = facts.get("suggested_thresholds", {})
    told = ["Suggested threshold", "Precision there", "Recall there"] if suggested else []
    rows = []
    known = {name: row for name, row in facts["per_category"].items() if row.get("annotations") != 0}
    for name, values in known.items():
        advice = suggested.get(name) or {}
        cells = [_value(values.get(key)) for key in columns]
        if suggested:
            cells.append(_threshold(advice))
            cells += [score(advice.get("precision")), score(advice.get("recall"))]
        rows.append(_row([text(name)], cells))
    if not rows:
        return Markup("")
    words = (
        "The suggested threshold has the highest F1 at IoU 0.5. Shared: the category has fewer than 10 labels, so the "
        "best threshold of all categories together is taken. Found on these images, precision and recall flatter."
    )
    if left_out := len(facts["per_category"]) - len(known):
        words += f" {left_out} categories without any label here are left out."
    note = element("p", {}, text(words)) if suggested else Markup("")
    return _section("Categories", note, _table(["Category", *columns, *told], rows))


def _threshold(advice: Mapping[str, Any]) -> Markup:
    if not advice:
        return score(None)
    return text(f"{advice['threshold']:.2f}{'' if advice['basis'] == 'own' else ' (shared)'}")


def _curves(facts: Mapping[str, Any]) -> Markup:
    by_labels = sorted(facts["curves"]["per_category"].items(), key=lambda item: -item[1]["labels"])
    chosen = [(name, curve) for name, curve in by_labels[:MOST_CURVES] if curve["labels"]]
    charts = [_chart("All categories", facts["curves"]["all"], None)]
    charts += [_chart(name, curve, facts["suggested_thresholds"][name]) for name, curve in chosen]
    note = element("p", {}, text("Precision (upwards) against recall; the dot is the suggested threshold."))
    return _section("Precision and recall", note, element("div", {"class": "grid"}, *charts))


def _chart(name: str, curve: Mapping[str, Any], suggestion: Mapping[str, Any] | None) -> Markup:
    def x(recall: float) -> float:
        return round(_LEFT + recall * (_WIDTH - _LEFT - 8), 1)

    def y(precision: float) -> float:
        return round(8 + (1 - precision) * (_HEIGHT - _BOTTOM - 8), 1)

    parts: list[Markup] = []
    for value in (0, 0.5, 1):
        ends = {"x1": x(0), "x2": x(1), "y1": y(value), "y2": y(value), "class": "rule"}
        parts.append(element("line", {**ends}))
        parts.append(element("text", {"x": _LEFT - 6, "y": y(value) + 4, "text-anchor": "end"}, text(value)))
        parts.append(element("text", {"x": x(value), "y": _HEIGHT - 6, "text-anchor": "middle"}, text(value)))
    points = " ".join(f"{x(r)},{y(p)}" for r, p in zip(curve["recall"], curve["precision"], strict=True))
    parts.append(element("polyline", {"class": "curve", "points": points}))
    if suggestion and suggestion["precision"] is not None and suggestion["recall"] is not None:
        place = {"cx": x(suggestion["recall"]), "cy": y(suggestion["precision"]), "r": 4, "class": "point"}
        parts.append(element("circle", {**place}))
    caption = element("figcaption", {}, text(name), element("span", {}, text(f" · {curve['labels']} labels")))
    drawn = element("svg", {"viewBox": f"0 0 {_WIDTH} {_HEIGHT}", "role": "img", "aria-label": name}, *parts)
    return element("figure", {"class": "card"}, caption, drawn)


def _confusion(confusion: Mapping[str, Any]) -> Markup:
    matrix, names = confusion["matrix"], confusion["names"]
    weight = [sum(row) + sum(line[index] for line in matrix) for index, row in enumerate(matrix[:-1])]
    busiest = [index for index in sorted(range(len(names)), key=lambda row: -weight[row]) if weight[index]][:MOST_CELLS]
    order = [*sorted(busiest), len(names)]
    heads = [_head(name, "upright") for name in [*(names[i] for i in order[:-1]), "missed"]]
    rows = [element("tr", {}, element("th", {}, text("is ↓ called →")), *heads)]
    for row in order:
        name = names[row] if row < len(names) else "nothing there"
        most = max(1, *matrix[row]) if matrix[row] else 1
        cells = [
            _cell(matrix[row][column], most, row == column, (row, column) == (len(names), len(names)))
            for column in order
        ]
        rows.append(element("tr", {}, _head(name, "level"), *cells))
    left = sum(map(bool, weight)) - len(busiest)
    words = "At each category's threshold and IoU 0.5. A row is what people say, a column what the detector says."
    more = f" {left} more categories are in report.json." if left else ""
    table = element("div", {"class": "card"}, element("table", {"class": "matrix"}, *rows))
    return _section("What is taken for what", element("p", {}, text(words + more)), table)


def _head(name: str, kind: str) -> Markup:
    """The name of a row or column, cut where it is long; the whole of it shows under the pointer."""
    return element("th", {"class": kind, "title": name}, element("span", {}, text(name)))


def _cell(count: int, most: int, diagonal: bool, corner: bool) -> Markup:
    if corner:
        return element("td")
    tone = "var(--accent)" if diagonal else "var(--false)"
    style = f"background: color-mix(in srgb, {tone} {round(60 * count / most)}%, transparent)" if count else None
    return element("td", {"style": style}, text(count or "·"))


def _section(title: str, *parts: Markup) -> Markup:
    return element("section", {}, element("h2", {}, text(title)), *parts)


def _table(heads: Sequence[str], rows: Sequence[Markup]) -> Markup:
    cells = [element("th", {"class": "number" if index else None}, text(head)) for index, head in enumerate(heads)]
    return element("div", {"class": "card"}, element("table", {}, element("tr", {}, *cells), *rows))


def _row(name: Sequence[Markup], numbers: Sequence[Markup]) -> Markup:
    cells = [element("td", {"class": "number"}, number) for number in numbers]
    return element("tr", {}, element("td", {"class": "name"}, *name), *cells)


def _value(value: float | int | None) -> Markup:
    return text(value) if isinstance(value, int) else score(value)
