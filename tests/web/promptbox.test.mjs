import assert from "node:assert/strict";
import { test } from "node:test";

import { knowsNoPhotos } from "../../app/web/promptbox.mjs";

const searchedBy = (detector) => ({ result: { detector } });

test("whoever tries the starter on pictures of their own is told that it knows no photos", () => {
  assert.equal(knowsNoPhotos(searchedBy("starter"), { name: "my cells" }), true);
});

test("on the examples, and with a detector that was taught or fetched, nothing is said", () => {
  assert.equal(knowsNoPhotos(searchedBy("starter"), { name: "examples" }), false);
  assert.equal(knowsNoPhotos(searchedBy("cells-1"), { name: "my cells" }), false);
  assert.equal(knowsNoPhotos({ result: {} }, { name: "my cells" }), false);
});
