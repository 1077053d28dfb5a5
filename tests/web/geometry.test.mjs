import assert from "node:assert/strict";
import { test } from "node:test";

import * as geometry from "../../app/web/geometry.mjs";

test("a box is the same whichever corner it is drawn from", () => {
  assert.deepEqual(geometry.spanned(10, 20, 3, 5), [3, 5, 10, 20]);
});

test("a moved box stops at the edge and keeps its size", () => {
  assert.deepEqual(geometry.moved([10, 10, 30, 40], 500, -500, 100, 80), [80, 0, 100, 30]);
});

test("a side dragged past its opposite flips the box", () => {
  // the east side of [10, 30] goes to 4: what was the left side is now the right one
  assert.deepEqual(geometry.resized([10, 10, 30, 40], "e", 4, 0, 100, 80), [4, 10, 10, 40]);
});

test("a corner moves two sides, a side moves one", () => {
  assert.deepEqual(geometry.resized([10, 10, 30, 40], "nw", 5, 6, 100, 80), [5, 6, 30, 40]);
  assert.deepEqual(geometry.resized([10, 10, 30, 40], "s", 99, 60, 100, 80), [10, 10, 30, 60]);
});

test("a resized box stays in the image", () => {
  assert.deepEqual(geometry.resized([10, 10, 30, 40], "se", 900, 900, 100, 80), [10, 10, 100, 80]);
});

test("on a tiny box corners win over sides", () => {
  assert.equal(geometry.handleAt([10, 10, 14, 14], 10, 10, 8), "nw");
});

test("no handle far from the box", () => {
  assert.equal(geometry.handleAt([10, 10, 60, 60], 35, 35, 8), null);
});

test("a box under one pixel has no area worth keeping", () => {
  assert.equal(geometry.hasArea([1, 1, 1.5, 9]), false);
  assert.equal(geometry.hasArea([1, 1, 2, 2]), true);
});

test("a pure move is told from a resize", () => {
  assert.equal(geometry.isTranslation([0, 0, 10, 10], [5, 5, 15, 15]), true);
  assert.equal(geometry.isTranslation([0, 0, 10, 10], [5, 5, 16, 15]), false);
});

test("the right and bottom edges are outside", () => {
  assert.equal(geometry.contains([0, 0, 10, 10], 9.99, 9.99), true);
  assert.equal(geometry.contains([0, 0, 10, 10], 10, 5), false);
});
