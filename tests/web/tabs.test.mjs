import assert from "node:assert/strict";
import test from "node:test";

import { change, count, moment, score, shortName, ticks } from "../../app/web/tabs/format.mjs";

test("a count has its noun in the right number", () => {
  assert.equal(count(1, "image"), "1 image");
  assert.equal(count(0, "image"), "0 images");
  assert.equal(count(4886, "box", "boxes"), "4,886 boxes");
});

test("a score has three decimals, and a dash where there is nothing to measure", () => {
  assert.equal(score(0.74149), "0.741");
  assert.equal(score(0), "0.000");
  for (const nothing of [null, undefined, Number.NaN, -1, "0.5"]) assert.equal(score(nothing), "–");
});

test("a change has its sign, and is left out where a score is missing", () => {
  assert.equal(change(0.1, 0.35), "+0.250");
  assert.equal(change(0.35, 0.1), "−0.250");
  assert.equal(change(0.2, 0.2), "+0.000");
  assert.equal(change(null, 0.2), "");
});

test("a moment of today is a time, of another day a date too", () => {
  const now = new Date(2026, 10, 21, 18, 0);
  assert.equal(moment(new Date(2026, 10, 21, 6, 5).toISOString(), now), "06:05");
  assert.equal(moment(new Date(2026, 10, 20, 6, 5).toISOString(), now), "20 Nov 06:05");
  assert.equal(moment(null), "–");
  assert.equal(moment("nonsense"), "–");
});

test("ticks are round numbers inside the range", () => {
  assert.deepEqual(ticks(0, 400, 5), [0, 100, 200, 300, 400]);
  assert.deepEqual(ticks(0, 0.7, 4), [0, 0.2, 0.4, 0.6]);
  assert.deepEqual(ticks(0, 13.2, 4), [0, 5, 10]);
  assert.deepEqual(ticks(3, 3), [3]);
});

test("a detector in a folder is called by the folder, any other by its whole name", () => {
  assert.equal(shortName("/home/ada/my detector/"), "my detector");
  assert.equal(shortName("C:\\models\\mine"), "mine");
  assert.equal(shortName("iSEE-Laboratory/llmdet_tiny"), "iSEE-Laboratory/llmdet_tiny");
  assert.equal(shortName("/"), "/");
});
