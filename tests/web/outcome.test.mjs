import assert from "node:assert/strict";
import test from "node:test";

import { categoryChanges, headline, keptWords, measuredLines, scoreRows, soFar, worth } from "../../app/web/tabs/outcome.mjs";

const CAPTIONS = { AP: null, AP50: null, "R@1": 0.25, "R@5": 0.5, "P@1": 0.75 };

test("boxes are compared by AP, texts by R@1 and P@1 where there is no AP", () => {
  const boxes = scoreRows({ AP: 0.1, AP50: 0.2, AP75: -1 }, { AP: 0.3, AP50: 0.4, AP75: -1 });
  assert.deepEqual(boxes.map((row) => [row.name, row.before, row.after]), [["AP", 0.1, 0.3], ["AP50", 0.2, 0.4]]);
  assert.deepEqual(scoreRows(CAPTIONS, CAPTIONS).map((row) => row.text), ["R@1 of phrases", "P@1 of expressions"]);
  assert.deepEqual(scoreRows(null, null), []);
});

test("held-out categories and texts stand beside the boxes", () => {
  const found = { AP: 0.5, AP50: 0.5, AP50_base: 0.75, AP50_novel: 0.25, "P@1": 0.5 };
  assert.deepEqual(scoreRows(found, found).map((row) => row.name), ["AP", "AP50", "AP50_base", "AP50_novel", "P@1"]);
});

test("a run in one line tells what it can be judged by", () => {
  assert.equal(headline({ before: { AP50: 0.1 }, metrics: { AP50: 0.25 } }), "AP50 0.100 → 0.250");
  assert.equal(headline({ before: CAPTIONS, metrics: CAPTIONS }), "R@1 0.250 → 0.250");
  assert.equal(headline({ before: null, metrics: null }), "");
  assert.equal(headline(undefined), "");
});

test("a checkpoint that learnt texts alone has their scores in the list", () => {
  assert.deepEqual(worth({ AP: 0.5, AP50: 0.75 }), ["0.500", "0.750"]);
  assert.deepEqual(worth(CAPTIONS), ["P@1 0.750", "R@1 0.250"]);
  assert.deepEqual(worth({ AP: null, AP50: null, "P@1": 0.5 }), ["P@1 0.500", "–"]);
  assert.deepEqual(worth(undefined), ["–", "–"]);
});

test("the chart draws what is measured, the steps without a number left out", () => {
  const rows = [{ step: 0, ...CAPTIONS }, { step: 5, AP: null, AP50: null, "R@1": null, "P@1": 1 }];
  assert.deepEqual(measuredLines(rows).map((line) => [line.name, line.points]), [["R@1", [[0, 0.25]]], ["P@1", [[0, 0.75], [5, 1]]]]);
  assert.deepEqual(measuredLines([{ step: 0, AP: 0.1, AP50: 0.2 }]).map((line) => line.name), ["AP50", "AP"]);
  assert.deepEqual(measuredLines([]), []);
});

test("the best so far is the one the run would keep, not the one with the highest AP", () => {
  const rows = [{ step: 0, AP: 0.9, best_step: 0 }, { step: 5, AP: null, best_step: 5 }, { step: 9, AP: 0.1, best_step: 5 }];
  assert.deepEqual(soFar(rows), { before: rows[0], best: rows[1] });
  assert.deepEqual(soFar(rows.slice(0, 1)), { before: rows[0], best: null });
  assert.deepEqual(soFar([]), { before: null, best: null });
});

test("categories are compared by AP50, those without labels and a lone one left out", () => {
  const before = { cat: { AP50: 0.1, annotations: 3 }, dog: { AP50: null, annotations: 9 } };
  const after = { cat: { AP50: 0.5, annotations: 3 }, dog: { AP50: 0.2, annotations: 9 }, fox: { AP50: null, annotations: 0 } };
  assert.deepEqual(categoryChanges(before, after), [
    { name: "dog", labels: 9, before: null, after: 0.2 }, { name: "cat", labels: 3, before: 0.1, after: 0.5 },
  ]);
  assert.deepEqual(categoryChanges(null, { cat: after.cat }), []);
  assert.deepEqual(categoryChanges(null, null), []);
});

test("what was kept is told only where it was measured", () => {
  assert.equal(keptWords(0.875), "Kept of what it was sure of on other images: 0.875 of 1.");
  assert.equal(keptWords(null), "");
  assert.equal(keptWords(undefined), "");
});
