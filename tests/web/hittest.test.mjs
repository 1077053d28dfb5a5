import assert from "node:assert/strict";
import { test } from "node:test";

import { HitGrid } from "../../app/web/hittest.mjs";

const IMAGE = { width: 640, height: 480 };
const shape = (key, ...xyxy) => ({ key, xyxy });

test("the smallest shape under the pointer wins", () => {
  const grid = new HitGrid([shape("big", 0, 0, 600, 400), shape("small", 100, 100, 120, 120)], IMAGE);
  assert.equal(grid.top(110, 110).key, "small");
  assert.equal(grid.top(300, 300).key, "big");
  assert.equal(grid.top(630, 470), null);
});

test("a stack is listed from small to big", () => {
  const grid = new HitGrid([shape("c", 0, 0, 90, 90), shape("a", 0, 0, 10, 10), shape("b", 0, 0, 40, 40)], IMAGE);
  assert.deepEqual(grid.all(5, 5).map((one) => one.key), ["a", "b", "c"]);
});

test("reach finds a shape just beside the pointer, across cells", () => {
  const grid = new HitGrid([shape("a", 100, 100, 119.9, 120)], IMAGE); // cells are 20 px wide
  assert.equal(grid.top(121, 110), null);
  assert.equal(grid.top(121, 110, 3).key, "a");
});

test("it finds what a search through all shapes finds", () => {
  let seed = 3;
  const random = () => (seed = (seed * 48271) % 2147483647) / 2147483647;
  const shapes = Array.from({ length: 500 }, (_, key) => {
    const [x, y] = [random() * 600, random() * 440];
    return shape(key, x, y, x + 1 + random() * 40, y + 1 + random() * 40);
  });
  const grid = new HitGrid(shapes, IMAGE);
  for (let round = 0; round < 200; round++) {
    const [x, y] = [random() * 640, random() * 480];
    const expected = shapes.filter(({ xyxy: [x1, y1, x2, y2] }) => x >= x1 && x < x2 && y >= y1 && y < y2).map((one) => one.key).sort();
    assert.deepEqual(grid.all(x, y).map((one) => one.key).sort(), expected);
  }
});
