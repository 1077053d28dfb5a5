import assert from "node:assert/strict";
import { test } from "node:test";

import { channels, inkOn } from "../../app/web/colour.mjs";
import { paintMasks, shrinkOf } from "../../app/web/maskpaint.mjs";
import { reducedWidth } from "../../app/web/pixels.mjs";
import { encoded } from "../../app/web/rle.mjs";
import { labelOf, sceneOf, shorten } from "../../app/web/scene.mjs";

const square = (size, x1, y1, x2, y2) =>
  encoded(Uint8Array.from({ length: size * size }, (_, at) => {
    const [x, y] = [at % size, Math.floor(at / size)];
    return x >= x1 && x < x2 && y >= y1 && y < y2 ? 1 : 0;
  }), size, size);

test("shapes of one colour become one group, annotations solid and predictions dashed", () => {
  const shapes = [
    { key: "a:1", kind: "annotation", category_id: 1, xyxy: [0, 0, 1, 1] },
    { key: "p:2", kind: "prediction", category_id: 1, xyxy: [1, 1, 2, 2], score: 0.5 },
    { key: "a:3", kind: "annotation", category_id: 2, xyxy: [2, 2, 3, 3] },
  ];
  const scene = sceneOf(shapes, [{ id: 1, name: "cat", color: "#ff0000" }, { id: 2, name: "dog", color: "#0000ff" }]);
  assert.deepEqual(scene.groups.map((group) => [group.color, group.solid.length, group.dashed.length]), [["#ff0000", 1, 1], ["#0000ff", 1, 0]]);
});

test("the shape in hand is left out of the scene", () => {
  const shapes = [{ key: "a:1", kind: "annotation", category_id: 1, xyxy: [0, 0, 1, 1] }];
  assert.equal(sceneOf(shapes, [], { without: "a:1" }).labels.length, 0);
});

test("labels show names as they are and cut whole characters", () => {
  assert.equal(labelOf({ kind: "prediction", score: 0.807 }, { name: "${x} <b>" }), "${x} <b> 0.81");
  assert.equal(shorten("🙂🙂🙂🙂", 3), "🙂🙂…");
});

test("ink is dark on light colours and light on dark ones", () => {
  assert.equal(inkOn("#ffff00"), "#0b0c0e");
  assert.equal(inkOn("#101080"), "#ffffff");
  assert.deepEqual(channels("not a colour"), [128, 128, 128]);
});

test("a mask has a strong rim and a pale inside, and nothing beside it", () => {
  const pixels = new Uint8ClampedArray(8 * 8 * 4);
  paintMasks([{ mask: square(8, 2, 2, 6, 6), color: "#ff0000", faint: false }], { width: 8, height: 8 }, pixels);
  const alpha = (x, y) => pixels[4 * (y * 8 + x) + 3];
  assert.equal(alpha(0, 0), 0);
  assert.equal(alpha(2, 2), 242); // rim: 0.95 * 255
  assert.equal(alpha(4, 4), 87); // inside: 0.34 * 255
});

test("of two masks on a pixel the later one shows", () => {
  const pixels = new Uint8ClampedArray(8 * 8 * 4);
  const whole = square(8, 0, 0, 8, 8);
  paintMasks([{ mask: whole, color: "#ff0000" }, { mask: whole, color: "#0000ff" }], { width: 8, height: 8 }, pixels);
  assert.deepEqual([pixels[0], pixels[2]], [0, 255]);
});

test("very large images are painted and fetched smaller", () => {
  assert.equal(shrinkOf({ width: 1000, height: 800 }), 1);
  assert.equal(shrinkOf({ width: 10_000, height: 10_000 }), 5);
  assert.equal(reducedWidth({ width: 4000, height: 6000 }), null); // 24 Mpx: as it is
  assert.equal(reducedWidth({ width: 10_000, height: 10_000 }), 3840);
  assert.equal(reducedWidth({ width: 2000, height: 50_000 }), 979); // sqrt(24 / 100) * 2000
});
