import assert from "node:assert/strict";
import { test } from "node:test";

import { memoryStorage, Outbox, waitFor } from "../../app/web/outbox.mjs";
import { savingText } from "../../app/web/status.mjs";

const edit = (id) => ({ op_id: id, kind: "delete", items: [] });
const settled = () => new Promise((resolve) => { setTimeout(resolve, 5); });
const failure = (message, final, status = 0) => Object.assign(new Error(message), { final, status });

/** A server that does what `answers` says, one entry per request; then it accepts everything. */
function server(answers = []) {
  const seen = [];
  const send = async (imageId, one) => {
    seen.push(`${imageId}:${one.op_id}`);
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer ?? {};
  };
  return { seen, send };
}

test("edits arrive one at a time in the order they were made", async () => {
  const { seen, send } = server();
  const outbox = new Outbox({ send, storage: memoryStorage() });
  for (const id of ["a", "b", "c"]) outbox.add(1, edit(id));
  await settled();
  assert.deepEqual(seen, ["1:a", "1:b", "1:c"]);
  assert.equal(outbox.unsent, 0);
});

test("nothing counts as sent before the server has answered", async () => {
  let answer;
  const outbox = new Outbox({ send: () => new Promise((resolve) => { answer = resolve; }), storage: memoryStorage() });
  outbox.add(1, edit("a"));
  await settled();
  assert.equal(outbox.unsent, 1);
  answer({});
  await settled();
  assert.equal(outbox.unsent, 0);
});

test("a dead server keeps the edit, and it goes out with the same id when the server is back", async () => {
  const { seen, send } = server([failure("gone", false), failure("gone", false)]);
  const wakes = [];
  const outbox = new Outbox({ send, storage: memoryStorage(), sleep: (ms, onWaker) => new Promise((resolve) => { wakes.push(ms); onWaker(resolve); }) });
  outbox.add(1, edit("a"));
  await settled();
  assert.equal(outbox.error.message, "gone");
  outbox.retry();
  await settled();
  outbox.retry();
  await settled();
  assert.deepEqual(seen, ["1:a", "1:a", "1:a"]);
  assert.deepEqual(wakes, [500, 1000]);
  assert.equal(outbox.unsent, 0);
  assert.equal(outbox.error, null);
});

test("a refused edit is dropped, said, and does not hold up the next", async () => {
  const { seen, send } = server([failure("The box is under 1 px wide.", true, 422)]);
  const refused = [];
  const outbox = new Outbox({ send, storage: memoryStorage(), onRefused: (imageId, one, error) => refused.push([imageId, one.op_id, error.message]) });
  outbox.add(4, edit("a"));
  outbox.add(4, edit("b"));
  await settled();
  assert.deepEqual(refused, [[4, "a", "The box is under 1 px wide."]]);
  assert.deepEqual(seen, ["4:a", "4:b"]);
});

test("an image whose edit the server can't take does not hold up the others", async () => {
  const seen = [];
  const send = async (imageId, one) => {
    seen.push(one.op_id);
    if (imageId === 1) throw failure("fault", false, 500);
  };
  const outbox = new Outbox({ send, storage: memoryStorage(), sleep: () => new Promise(() => {}) });
  for (const [image, id] of [[1, "a"], [1, "b"], [2, "c"]]) outbox.add(image, edit(id));
  await settled();
  assert.deepEqual(seen, ["a", "c"]); // never b before a
  assert.equal(outbox.unsent, 2);
  assert.equal(outbox.error.message, "fault");
});

test("unsent edits survive a reload and go out before new ones", async () => {
  const storage = memoryStorage();
  const dead = new Outbox({ send: () => new Promise(() => {}), storage });
  dead.add(1, edit("a"));
  dead.add(2, edit("b"));
  const { seen, send } = server();
  const reloaded = new Outbox({ send });
  reloaded.add(1, edit("c")); // made before the storage is open
  await settled();
  assert.deepEqual(seen, []);
  await reloaded.restore(storage);
  await settled();
  assert.deepEqual(seen, ["1:a", "2:b", "1:c"]);
  assert.deepEqual(await storage.all(), []);
});

test("the edits of one image are told apart from those of another", () => {
  const outbox = new Outbox({ send: () => new Promise(() => {}), storage: memoryStorage() });
  outbox.add(1, edit("a"));
  outbox.add(2, edit("b"));
  outbox.add(1, edit("c"));
  assert.deepEqual(outbox.pending(1).map((one) => one.op_id), ["a", "c"]);
});

test("a closing page sends the first edit of each image and leaves the rest in the storage", async () => {
  const storage = memoryStorage();
  const outbox = new Outbox({ send: () => new Promise(() => {}), storage });
  for (const [image, id] of [[1, "a"], [1, "b"], [2, "c"]]) outbox.add(image, edit(id));
  const last = [];
  outbox.flush((imageId, one) => last.push(`${imageId}:${one.op_id}`));
  assert.deepEqual(last, ["1:a", "2:c"]);
  assert.equal((await storage.all()).length, 3);
});

test("a browser without storage still sends, and says what it can't promise", async () => {
  const broken = { all: () => Promise.reject(new Error("no")), put: () => Promise.reject(new Error("no")), delete: () => Promise.reject(new Error("no")) };
  const { seen, send } = server();
  const outbox = new Outbox({ send });
  await outbox.restore(broken);
  outbox.add(1, edit("a"));
  await settled();
  assert.deepEqual(seen, ["1:a"]);
  assert.equal(outbox.kept, false);
});

test("waiting doubles up to a quarter of a minute", () => {
  assert.deepEqual([1, 2, 3, 6, 30].map(waitFor), [500, 1000, 2000, 15_000, 15_000]);
});

test("saved is said only when nothing is unsent", () => {
  assert.equal(savingText({ unsent: 0, error: null, kept: true }).text, "Saved");
  assert.equal(savingText({ unsent: 2, error: null, kept: true }).text, "2 unsent");
  assert.equal(savingText({ unsent: 2, error: failure("x", false), kept: true }).text, "Offline · 2 unsent");
  assert.equal(savingText({ unsent: 1, error: failure("The disk is full.", false, 507), kept: true }).text, "Not saved · 1 unsent");
});

test("a listener that throws does not keep the next edits from being sent", async (context) => {
  const logged = context.mock.method(console, "error", () => {});
  const { seen, send } = server([failure("no such annotation", true, 422)]);
  const outbox = new Outbox({ send, storage: memoryStorage(), onRefused: () => { throw new Error("a fault of the page"); } });
  outbox.add(1, edit("a"));
  outbox.add(1, edit("b"));
  await settled();
  assert.deepEqual(seen, ["1:a", "1:b"]);
  assert.equal(outbox.unsent, 0);
  assert.equal(logged.mock.callCount(), 1);
});
