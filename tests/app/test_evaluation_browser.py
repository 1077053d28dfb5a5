"""The evaluation on the Models tab in a real browser: measured, shown, its thresholds taken over."""

from uuid import uuid4

import pytest
from playwright.sync_api import expect

from annotations import queries
from annotations.categories import add_category
from annotations.edits import Edit, apply_edit
from app.services.evaluating import keep
from app.services.evaluation_document import EvaluationDocument
from tests.app.test_page_browser import HOSTILE, Open, opened, served

__all__ = ["opened", "served"]  # fixtures

pytestmark = [pytest.mark.browser, pytest.mark.slow]

CURVE = {"labels": 12, "thresholds": [0.9, 0.4], "precision": [1, 0.8], "recall": [0.5, 1], "f1": [0.67, 0.89]}
ADVICE = {"threshold": 0.35, "basis": "own", "precision": 0.8, "recall": 1.0, "f1": 0.89}


def document(detector: str, names: list[str], score: float) -> EvaluationDocument:
    """An evaluation as `evaluate` keeps it, of categories with twelve labels each."""
    matrix = [[10 if row == column else 1 for column in range(len(names) + 1)] for row in range(len(names) + 1)]
    return EvaluationDocument(
        detector, "fruit", None, 5, {"AP": score, "AP50": score},
        {name: {"AP50": score, "annotations": 12} for name in names},
        confusion={"names": names, "matrix": matrix, "thresholds": dict.fromkeys(names, 0.35), "iou": 0.5},
        curves={"all": CURVE, "per_category": dict.fromkeys(names, CURVE)},
        suggested_thresholds=dict.fromkeys(names, ADVICE),
    )  # fmt: skip


def test_the_detector_is_measured_and_its_thresholds_are_taken_over(opened: Open) -> None:
    services, dataset_id = opened.bench.services, opened.bench.dataset_id
    opened.show("Models")
    section = opened.page.locator(".gt-evaluation")
    expect(section).to_contain_text("Nothing measured yet")
    expect(opened.page.get_by_test_id("measure")).to_be_disabled()

    with services.store.writing() as session:
        category_id = add_category(session, dataset_id, "apple").id
        item = {"id": str(uuid4()), "category_id": category_id, "xyxy": [5, 5, 25, 25]}
        apply_edit(session, Edit(uuid4(), "create", opened.bench.image_ids[0], "ada", (item,)))
    opened.choose(dataset_id)
    opened.show("Models")
    opened.page.get_by_test_id("measure").click()
    expect(section).to_contain_text("starter on 1 image, measured")
    expect(section.locator('tr[data-category="apple"]')).to_be_visible()
    expect(opened.page.get_by_test_id("use-thresholds")).to_be_disabled()  # one label says nothing

    names = ["apple", *HOSTILE]
    with services.store.writing() as session:
        for name in HOSTILE:
            add_category(session, dataset_id, name)
    keep(services.store, document("starter", names, 0.75))
    keep(services.store, document(HOSTILE[0], names, 0.5))
    opened.choose(dataset_id)
    opened.show("Models")
    expect(section.locator("td.gt-name")).to_have_count(len(names) + 1)
    assert set(names) < set(section.locator("td.gt-name").all_text_contents())
    expect(section).to_contain_text("+0.250")
    expect(section.locator(".gt-matrix tbody tr")).to_have_count(len(names) + 1)
    section.locator("tr[data-category]").nth(2).click()
    expect(section.locator("tr.gt-current td.gt-name")).to_have_text(HOSTILE[0])
    opened.page.get_by_test_id("use-thresholds").click()
    expect(section).to_contain_text("9 categories have the suggested threshold now")
    expect(opened.page.get_by_test_id("use-thresholds")).to_be_disabled()
    with services.store.reading() as session:
        assert {row.threshold for row in queries.categories(session, dataset_id)} == {0.35}
    assert opened.page.evaluate("() => document.documentElement.scrollWidth") <= 1024
    assert opened.faults == []
