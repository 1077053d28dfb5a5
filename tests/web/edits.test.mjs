import assert from "node:assert/strict";
import { test } from "node:test";

import * as edits from "../../app/web/edits.mjs";
import { newId } from "../../app/web/ids.mjs";

const PREDICTION = { kind: "prediction", key: "p:7", id: 7, category_id: 1, xyxy: [0, 0, 5, 5] };
const ANNOTATION = { kind: "annotation", key: "a:x", id: "x", category_id: 1, xyxy: [0, 0, 5, 5] };

test("reshaping a prediction accepts it first", () => {
  assert.deepEqual(edits.toReshape(PREDICTION, [1, 1, 6.0049, 6], "n"), [
    { kind: "accept", items: [{ prediction_id: 7, annotation_id: "n" }] },
    { kind: "update", items: [{ id: "n", xyxy: [1, 1, 6, 6] }] },
  ]);
});

test("reshaping an annotation is one edit", () => {
  assert.deepEqual(edits.toReshape(ANNOTATION, [1, 1, 6, 6]), [{ kind: "update", items: [{ id: "x", xyxy: [1, 1, 6, 6] }] }]);
});

test("giving a shape the category it has sends nothing", () => {
  assert.deepEqual(edits.toRelabel(ANNOTATION, 1), []);
});

test("removing rejects a prediction and deletes an annotation", () => {
  assert.deepEqual(edits.toRemove(PREDICTION), [{ kind: "reject", items: [{ prediction_id: 7 }] }]);
  assert.deepEqual(edits.toRemove(ANNOTATION), [{ kind: "delete", items: [{ id: "x" }] }]);
});

test("accepting many is one edit, so that one undo takes it back", () => {
  const ids = ["m", "n"];
  const made = edits.toAccept([PREDICTION, ANNOTATION, { ...PREDICTION, id: 8 }], () => ids.shift());
  assert.deepEqual(made, [{ kind: "accept", items: [{ prediction_id: 7, annotation_id: "m" }, { prediction_id: 8, annotation_id: "n" }] }]);
});

test("accepting nothing sends nothing", () => {
  assert.deepEqual(edits.toAccept([ANNOTATION]), []);
});

test("ids are version 4 also where the browser has no randomUUID", () => {
  const insecure = { getRandomValues: (bytes) => crypto.getRandomValues(bytes) };
  assert.match(newId(insecure), /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});
