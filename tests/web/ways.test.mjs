import assert from "node:assert/strict";
import { test } from "node:test";

import { Examples, offered } from "../../app/web/examples.mjs";
import { takesKey } from "../../app/web/keys.mjs";
import { TASKS, WAYS, beforeText, foundText, knownTask, sameQuestion } from "../../app/web/ways.mjs";

const job = (detections, done = 1) => ({ detections, done });
const LARGER = { task: "refer", prompt: "the larger of the two cats" };
const NAMES = { task: "detect", prompt: "cat. dog." };

test("each way to ask shows an example of its own where nothing is typed", () => {
  assert.deepEqual(TASKS, ["detect", "ground", "refer"]);
  assert.equal(new Set(TASKS.map((task) => WAYS[task].placeholder)).size, 3);
  for (const task of TASKS) assert.ok(WAYS[task].empty.endsWith(WAYS[task].placeholder));
});

test("a way that a browser remembers wrongly is the first", () => {
  for (const task of [null, undefined, "", "guess", "toString", 7]) assert.equal(knownTask(task), "detect");
  assert.equal(knownTask("refer"), "refer");
});

test("an expression that nothing fits is told in its own words", () => {
  const none = { shown: 0, below: 0 };
  assert.equal(foundText(job(0), LARGER, none, 0.4), "Nothing here fits “the larger of the two cats”.");
  assert.equal(foundText(job(0, 40), LARGER, null, 0.4), "Nothing on these 40 images fits “the larger of the two cats”.");
  assert.ok(foundText(job(0), { task: "refer", prompt: "😀".repeat(500) }, none, 0.4).length < 200);
});

test("images that had the answer already are told, and how to ask them again", () => {
  assert.equal(beforeText({ result: { already: 0 }, done: 4 }), "");
  assert.equal(beforeText({ done: 4 }), "");
  assert.equal(beforeText({ result: { already: 1 }, done: 4 }), " 1 image had this answer already; Shift-click asks again.");
  assert.equal(beforeText({ result: { already: 4 }, done: 4 }), " All of them had this answer already; Shift-click asks again.");
});

test("what is shown is counted, not what is only guessed", () => {
  assert.equal(foundText(job(57), NAMES, { shown: 3, below: 54 }, 0.4), "Found 3 objects.");
  assert.equal(foundText(job(1), LARGER, { shown: 1, below: 0 }, 0.4), "Found the one that is meant.");
  assert.equal(foundText(job(57), NAMES, { shown: 0, below: 57 }, 0.4), "Nothing above the confidence of 0.40. Lower it to see 57 guesses.");
  assert.equal(foundText(job(1), LARGER, { shown: 0, below: 1 }, 0.4), "Nothing above the confidence of 0.40. Lower it to see what may fit.");
  assert.equal(foundText(job(1), LARGER, { shown: 0, below: 0 }, 0.4), "What was found is labelled or rejected already.");
  assert.equal(foundText(job(57, 9), NAMES, null, 0.4), "57 proposals on 9 images; those above the confidence are shown.");
  assert.equal(foundText(job(0), NAMES, { shown: 0, below: 0 }, 0.4), "Nothing found. Try another word for it.");
});

test("an example is offered until it has been asked, however it was typed", () => {
  assert.equal(offered(LARGER, NAMES), LARGER);
  assert.equal(offered(LARGER, { task: "refer", prompt: "The larger of  the two cats." }), null);
  assert.equal(offered(LARGER, { ...LARGER, task: "ground" }), LARGER);
  assert.equal(offered(null, NAMES), null);
  assert.ok(sameQuestion({ task: "detect", prompt: "cat.\ndog" }, NAMES));
});

test("only pictures of the examples have a question of their own", async () => {
  const list = [{ file: "rabbits.jpg", title: "Rabbits", ...LARGER }];
  const examples = new Examples({ api: { exampleList: async () => list } });
  assert.equal(examples.of({ name: "examples" }, "rabbits.jpg"), null); // not loaded yet
  await examples.load();
  assert.equal(examples.of({ name: "examples" }, "rabbits.jpg"), list[0]);
  assert.equal(examples.of({ name: "my rabbits" }, "rabbits.jpg"), null);
  assert.equal(examples.of({ name: "examples" }, "other.jpg"), null);
  assert.equal(examples.of(null, undefined), null);
});

test("a list of examples that did not come is asked for again", async () => {
  const answers = [Promise.reject(new Error("offline")), Promise.resolve([LARGER])];
  const examples = new Examples({ api: { exampleList: () => answers.shift() } });
  assert.deepEqual(await examples.load(), []);
  assert.deepEqual(await examples.load(), [LARGER]);
});

test("arrows in the switch choose a way and not the next image", () => {
  const radio = { tagName: "BUTTON", type: "button", getAttribute: (name) => (name === "role" ? "radio" : null) };
  const button = { tagName: "BUTTON", type: "button", getAttribute: () => null };
  assert.equal(takesKey(radio, "ArrowRight"), true);
  assert.equal(takesKey(button, "ArrowRight"), false);
  assert.equal(takesKey(radio, "D"), false);
});
