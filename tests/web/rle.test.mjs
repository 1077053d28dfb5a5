import assert from "node:assert/strict";
import { test } from "node:test";

import * as rle from "../../app/web/rle.mjs";

// Made with mask.encode of pycocotools 2.0.11: rows 1..2 and columns 1..3 of 4 x 5; all of 2 x 3; none of 7 x 3.
const SMALL = { size: [4, 5], counts: "5220003" };
const FULL = { size: [2, 3], counts: "06" };
const EMPTY = { size: [7, 3], counts: "e0" };

test("a code of pycocotools decodes to its mask", () => {
  assert.deepEqual(Array.from(rle.decoded(SMALL)), [
    0, 0, 0, 0, 0,
    0, 1, 1, 1, 0,
    0, 1, 1, 1, 0,
    0, 0, 0, 0, 0,
  ]);
});

test("our codes equal those of pycocotools", () => {
  for (const code of [SMALL, FULL, EMPTY]) assert.deepEqual(rle.encoded(rle.decoded(code), ...code.size), code);
});

test("random masks survive encoding and decoding", () => {
  let seed = 7;
  const random = () => (seed = (seed * 1103515245 + 12345) % 2 ** 31) / 2 ** 31;
  for (let round = 0; round < 30; round++) {
    const [height, width] = [1 + Math.floor(random() * 90), 1 + Math.floor(random() * 90)];
    const density = random();
    const mask = Uint8Array.from({ length: height * width }, () => (random() < density ? 1 : 0));
    assert.deepEqual(rle.decoded(rle.encoded(mask, height, width)), mask);
  }
});

test("runs longer than two groups of bits survive", () => {
  const runs = [0, 100_000, 3, 5_000_000, 70, 1];
  assert.deepEqual(rle.runsOf({ counts: rle.countsOf(runs) }), runs);
});

test("a damaged code is refused instead of drawn wrongly", () => {
  assert.throws(() => rle.runsOf({ counts: "5 2" }), RangeError);
  assert.throws(() => rle.runsOf({ counts: "ooooooooo" }), RangeError);
});

test("the box around a mask is tight", () => {
  assert.deepEqual(rle.boxOf(SMALL), [1, 1, 4, 3]);
  assert.equal(rle.boxOf(EMPTY), null);
});

test("a mask that crosses columns is cut into one piece per column", () => {
  const pieces = [];
  rle.forEachRun(FULL, (column, top, bottom) => pieces.push([column, top, bottom]));
  assert.deepEqual(pieces, [[0, 0, 2], [1, 0, 2], [2, 0, 2]]);
});

test("a shifted mask loses what leaves the image", () => {
  const moved = rle.shifted(SMALL, 2, -1);
  assert.deepEqual(rle.boxOf(moved), [3, 0, 5, 2]); // column 5 is outside
});

test("a point is in the mask or beside it", () => {
  assert.equal(rle.covers(SMALL, 1.5, 1.5), true);
  assert.equal(rle.covers(SMALL, 0.5, 1.5), false);
  assert.equal(rle.covers(SMALL, 99, 1), false);
});
