import assert from "node:assert/strict";
import { test } from "node:test";

import { boxOf, encoded } from "../../app/web/rle.mjs";
import * as shapes from "../../app/web/shapes.mjs";

const category = (id, threshold = null) => ({ id, name: `c${id}`, color: "#112233", threshold });
const annotation = (id, xyxy = [0, 0, 10, 10], mask = null) => ({ id, category_id: 1, xyxy, mask, source: "person", score: null });
const prediction = (id, score, xyxy = [0, 0, 10, 10], categoryId = 1) => ({ id, category_id: categoryId, xyxy, mask: null, score, checkpoint: "starter", prompt: "cat." });

function state({ annotations = [], predictions = [], categories = [category(1), category(2)] } = {}) {
  return { image: { id: 1, width: 20, height: 20, done: false }, categories, annotations, predictions };
}

test("a created annotation is a person's", () => {
  const after = shapes.applied(state(), { kind: "create", items: [{ id: "n", category_id: 2, xyxy: [1, 2, 3, 4] }] });
  assert.equal(after.annotations[0].source, "person");
  assert.equal(after.annotations[0].mask, null);
});

test("an edit never changes the state it started from", () => {
  const before = state({ annotations: [annotation("a")] });
  const copy = structuredClone(before);
  for (const kind of ["update", "delete"]) shapes.applied(before, { kind, items: [{ id: "a", category_id: 2 }] });
  assert.deepEqual(before, copy);
});

test("an accepted prediction remembers checkpoint, prompt and score", () => {
  const after = shapes.applied(state({ predictions: [prediction(7, 0.8)] }), { kind: "accept", items: [{ prediction_id: 7, annotation_id: "n" }] });
  assert.equal(after.predictions.length, 0);
  const [kept] = after.annotations;
  assert.deepEqual([kept.id, kept.source, kept.score, kept.checkpoint, kept.prompt], ["n", "model", 0.8, "starter", "cat."]);
});

test("the same edit applied twice changes nothing more", () => {
  const edits = [
    { kind: "create", items: [{ id: "n", category_id: 1, xyxy: [1, 1, 5, 5] }] },
    { kind: "accept", items: [{ prediction_id: 7, annotation_id: "m" }] },
    { kind: "update", items: [{ id: "n", xyxy: [2, 2, 6, 6] }] },
    { kind: "delete", items: [{ id: "a" }] },
  ];
  const once = shapes.rebased(state({ annotations: [annotation("a")], predictions: [prediction(7, 0.8)] }), edits);
  const twice = shapes.rebased(once, edits);
  const byId = (one, other) => (one.id < other.id ? -1 : 1);
  assert.deepEqual([...twice.annotations].sort(byId), [...once.annotations].sort(byId));
  assert.deepEqual(twice.predictions, once.predictions);
});

test("edits that name unknown shapes change nothing", () => {
  const before = state({ annotations: [annotation("a")] });
  const after = shapes.rebased(before, [
    { kind: "update", items: [{ id: "gone", category_id: 2 }] },
    { kind: "accept", items: [{ prediction_id: 9, annotation_id: "x" }] },
    { kind: "undo", items: [] },
  ]);
  assert.deepEqual(after, before);
});

test("a moved box takes its mask along, a resized one drops it", () => {
  const mask = encoded(Uint8Array.from({ length: 400 }, (_, at) => (at % 20 < 4 && at < 80 ? 1 : 0)), 20, 20);
  const before = state({ annotations: [annotation("a", [0, 0, 4, 4], mask)] });
  const moved = shapes.applied(before, { kind: "update", items: [{ id: "a", xyxy: [5, 6, 9, 10] }] });
  assert.deepEqual(boxOf(moved.annotations[0].mask), [5, 6, 9, 10]);
  const resized = shapes.applied(before, { kind: "update", items: [{ id: "a", xyxy: [0, 0, 9, 4] }] });
  assert.equal(resized.annotations[0].mask, null);
});

test("the confidence slider hides predictions and never annotations", () => {
  const full = state({ annotations: [annotation("a")], predictions: [prediction(1, 0.2), prediction(2, 0.5)] });
  assert.deepEqual(shapes.listed(full, { confidence: 0.5 }).map((shape) => shape.key), ["a:a", "p:2"]);
});

test("a category's own threshold wins over the slider, downwards too", () => {
  const full = state({ categories: [category(1, 0.1), category(2)], predictions: [prediction(1, 0.2), prediction(2, 0.2, undefined, 2)] });
  assert.deepEqual(shapes.listed(full, { confidence: 0.5 }).map((shape) => shape.key), ["p:1"]);
});

test("a hidden category shows nothing", () => {
  const full = state({ annotations: [annotation("a")], predictions: [prediction(1, 0.9)] });
  assert.equal(shapes.listed(full, { hidden: new Set([1]) }).length, 0);
});

test("tab walks the predictions in reading order and starts over", () => {
  const listed = shapes.listed(state({
    annotations: [annotation("a", [0, 3, 5, 8])],
    predictions: [prediction(1, 0.9, [0, 9, 5, 12]), prediction(2, 0.5, [6, 1, 9, 4]), prediction(3, 0.7, [1, 1, 4, 4])],
  }));
  assert.equal(shapes.neighbouringPrediction(listed, null), "p:3");
  assert.equal(shapes.neighbouringPrediction(listed, "p:3"), "p:2");
  assert.equal(shapes.neighbouringPrediction(listed, "a:a"), "p:1");
  assert.equal(shapes.neighbouringPrediction(listed, "p:1"), "p:3");
  assert.equal(shapes.neighbouringPrediction(listed, "p:3", -1), "p:1");
});

test("the last prediction has no neighbour", () => {
  const listed = shapes.listed(state({ predictions: [prediction(1, 0.9)] }));
  assert.equal(shapes.neighbouringPrediction(listed, "p:1"), null);
});

test("counts tell labelled from to review", () => {
  const listed = shapes.listed(state({ annotations: [annotation("a"), annotation("b")], predictions: [prediction(1, 0.9)] }));
  assert.deepEqual(shapes.countsByCategory(listed).get(1), { annotations: 2, predictions: 1 });
});
