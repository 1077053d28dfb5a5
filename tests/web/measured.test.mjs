import assert from "node:assert/strict";
import test from "node:test";

import { ALL, categoryRows, comparedWith, curveLines, evaluationOf, firstSplit, heat, othersOf, splitChoices, thresholdChanges, thresholdWords } from "../../app/web/tabs/measured.mjs";

const evaluation = (detector, split, task = "detect") => ({ document: { detector, split, task } });

test("the splits that hold labels can be chosen, the best judge first, and always all of them", () => {
  const labelled = [{ split: null, images: 3 }, { split: "train", images: 1200 }, { split: "val", images: 40 }];
  assert.deepEqual(splitChoices(labelled), [["val", "val (40)"], ["train", "train (1,200)"], [ALL, "all labelled images (1,243)"]]);
  assert.deepEqual(splitChoices([]), []);
});

test("an evaluation is looked up by detector and split, and compared with others on the same images", () => {
  const all = [evaluation("mine", "val"), evaluation("starter", "val"), evaluation("starter", null), evaluation("starter", "val", "refer")];
  assert.equal(evaluationOf(all, "starter", "val"), all[1]);
  assert.equal(evaluationOf(all, "starter", ALL), all[2]);
  assert.equal(evaluationOf(all, "mine", ALL), null);
  assert.deepEqual(othersOf(all, "starter", "val"), [all[0]]);
});

test("the page opens with the split the detector was measured on last, else with the best judge", () => {
  const choices = [["val", "val (4)"], [ALL, "all"]];
  const evaluations = [evaluation("other", "val"), evaluation("mine", "gone"), evaluation("mine", null), evaluation("mine", "val")];
  assert.equal(firstSplit(choices, { detector: "mine", evaluations }), ALL);
  assert.equal(firstSplit(choices, { detector: "new", evaluations }), "val");
  assert.equal(firstSplit([], null), null);
});

test("a detector is compared with the one asked for, else its base, else the newest", () => {
  const [newest, base, third] = [evaluation("newest", "val"), evaluation("base", "val"), evaluation("third", "val")];
  const others = [newest, base, third];
  assert.equal(comparedWith(others, "third", "base"), third);
  assert.equal(comparedWith(others, null, "base"), base);
  assert.equal(comparedWith(others, "gone", "never measured"), newest);
  assert.equal(comparedWith([], null, null), null);
});

test("the words say at which thresholds confusions were counted", () => {
  const advice = { cat: { threshold: 0.35 }, dog: null };
  const words = (thresholds) => thresholdWords({ confusion: { thresholds }, suggested_thresholds: advice });
  assert.equal(words({ cat: 0.35, dog: 0.4 }), "At the suggested thresholds");
  assert.equal(words({ cat: 0.5, dog: 0.5 }), "At threshold 0.50");
});

const document = {
  per_category: { dog: { AP50: 0.5, annotations: 3 }, cat: { AP50: 0.9, annotations: 12 }, cow: { AP50: null, annotations: 0 } },
  suggested_thresholds: { dog: null, cat: { threshold: 0.35, basis: "own", precision: 1, recall: 0.5 }, cow: null },
};

test("a category's row has its numbers before and after, and the threshold it has now", () => {
  const before = { per_category: { cat: { AP50: 0.4, annotations: 12 } } };
  const [cat, dog, ...rest] = categoryRows(document, before, [{ id: 7, name: "cat", threshold: 0.6, color: "#fff" }]);
  assert.deepEqual(rest, []); // a cow was never labelled
  assert.deepEqual([cat.name, cat.id, cat.before, cat.score, cat.now], ["cat", 7, 0.4, 0.9, 0.6]);
  assert.deepEqual([dog.id, dog.before, dog.advice], [null, null, null]); // renamed since, and not measured before
});

test("only categories that are there and differ from their suggestion are changed", () => {
  const rows = (threshold) => categoryRows(document, null, [{ id: 7, name: "cat", threshold }, { id: 8, name: "dog", threshold: null }]);
  assert.deepEqual(thresholdChanges(rows(null)), [{ id: 7, threshold: 0.35 }]);
  assert.deepEqual(thresholdChanges(rows(0.35)), []);
  assert.deepEqual(thresholdChanges(categoryRows(document, null, [])), []);
});

test("a curve is drawn over recall, and over the threshold from low to high", () => {
  const lines = curveLines({ thresholds: [0.9, 0.4], precision: [1, 0.5], recall: [0.2, 0.6], f1: [0.33, 0.55] });
  assert.deepEqual(lines.precisionRecall, [[0.2, 1], [0.6, 0.5]]);
  assert.deepEqual(lines.f1, [[0.4, 0.55], [0.9, 0.33]]);
});

test("a confusion matrix shows the categories that occur, each cell with its share of the row", () => {
  const names = ["cat", "unused", "dog"];
  const matrix = [[3, 0, 1, 0], [0, 0, 0, 0], [0, 0, 0, 2], [1, 0, 0, 0]];
  const { columns, rows, left } = heat({ names, matrix });
  assert.deepEqual(columns, ["cat", "dog", "missed"]);
  assert.deepEqual(rows.map((row) => [row.name, row.total]), [["cat", 4], ["dog", 2], ["nothing there", 1]]);
  assert.deepEqual(rows[0].cells, [
    { count: 3, share: 0.75, kind: "right" }, { count: 1, share: 0.25, kind: "wrong" }, { count: 0, share: 0, kind: "none" },
  ]);
  assert.deepEqual(rows[1].cells.at(-1), { count: 2, share: 1, kind: "wrong" });
  assert.equal(left, 0);
});

test("of many categories those with the most boxes are shown, in their own order", () => {
  const names = ["a", "b", "c"];
  const matrix = [[1, 0, 0, 0], [0, 5, 0, 0], [0, 0, 9, 0], [0, 0, 0, 0]];
  const { columns, left } = heat({ names, matrix }, 2);
  assert.deepEqual([columns, left], [["b", "c", "missed"], 1]);
});
