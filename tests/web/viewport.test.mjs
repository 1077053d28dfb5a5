import assert from "node:assert/strict";
import { test } from "node:test";

import * as viewport from "../../app/web/viewport.mjs";

const IMAGE = { width: 400, height: 200 };
const VIEW = { width: 840, height: 640 };

test("a fitted picture is centred with a margin", () => {
  // (840 - 2 * 20) / 400 = 2 across; 200 * 2 = 400 high, so (640 - 400) / 2 = 120 above
  assert.deepEqual(viewport.fitted(IMAGE, VIEW), { scale: 2, x: 20, y: 120 });
});

test("a tiny picture is enlarged only so far", () => {
  assert.equal(viewport.fitted({ width: 4, height: 4 }, VIEW).scale, 8);
});

test("image to screen and back is the same point", () => {
  const shown = { scale: 1.7, x: -33, y: 12 };
  const [sx, sy] = viewport.toScreen(shown, 123.25, 45.5);
  const [x, y] = viewport.toImage(shown, sx, sy);
  assert.ok(Math.abs(x - 123.25) < 1e-9 && Math.abs(y - 45.5) < 1e-9);
});

test("zooming keeps the point under the pointer", () => {
  const before = viewport.fitted(IMAGE, VIEW);
  const [x, y] = viewport.toImage(before, 300, 250);
  const after = viewport.zoomedAt(before, 3, 300, 250, IMAGE, VIEW);
  const [sx, sy] = viewport.toScreen(after, x, y);
  assert.equal(after.scale, 6);
  assert.ok(Math.abs(sx - 300) < 1e-9 && Math.abs(sy - 250) < 1e-9);
});

test("zoom has a floor and a ceiling", () => {
  const start = viewport.fitted(IMAGE, VIEW);
  assert.equal(viewport.zoomedAt(start, 1e6, 400, 300, IMAGE, VIEW).scale, viewport.MAX_SCALE);
  assert.equal(viewport.zoomedAt(start, 1e-6, 400, 300, IMAGE, VIEW).scale, 1);
});

test("the picture can't be dragged out of sight", () => {
  const away = viewport.panned(viewport.fitted(IMAGE, VIEW), 1e5, -1e5, IMAGE, VIEW);
  assert.equal(away.x, VIEW.width - 48);
  assert.equal(away.y, 48 - IMAGE.height * away.scale);
});

test("what is in view is told in image pixels", () => {
  assert.deepEqual(viewport.visibleBox({ scale: 2, x: -100, y: 0 }, VIEW), [50, 0, 470, 320]);
});
