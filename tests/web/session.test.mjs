import assert from "node:assert/strict";
import { test } from "node:test";

import { memoryStorage, Outbox } from "../../app/web/outbox.mjs";
import { Session } from "../../app/web/session.mjs";

const settled = () => new Promise((resolve) => { setTimeout(resolve, 2); });

function reply(imageId, annotationIds = [], more = {}) {
  const annotations = annotationIds.map((id) => ({ id, category_id: 1, xyxy: [0, 0, 5, 5], mask: null }));
  return { image: { id: imageId, done: false }, categories: [{ id: 1, name: "cat" }], annotations, predictions: [], can_undo: false, can_redo: false, ...more };
}

/** A server whose shapes are answered by hand, and whose edits are answered at once or never. */
function bench({ edits = "at once", skipped = 0 } = {}) {
  const asked = [];
  const api = { shapes: (imageId) => new Promise((resolve, reject) => { asked.push({ imageId, resolve, reject }); }) };
  let session;
  const outbox = new Outbox({
    send: edits === "at once" ? async () => ({ skipped }) : () => new Promise(() => {}),
    storage: memoryStorage(),
    onSent: (imageId, edit, reply) => session.left(imageId, edit, reply.skipped > 0),
    onRefused: (imageId, edit) => session.left(imageId, edit, true),
  });
  session = new Session({ api, outbox });
  return { session, outbox, asked };
}

const create = (id) => [{ kind: "create", items: [{ id, category_id: 1, xyxy: [1, 1, 4, 4] }] }];
const ids = (session) => session.state.annotations.map((one) => one.id);

test("a late answer never shows on another image", async () => {
  const { session, asked } = bench();
  session.open(1);
  session.open(2);
  asked[1].resolve(reply(2, ["two"]));
  await settled();
  asked[0].resolve(reply(1, ["one"]));
  await settled();
  assert.equal(session.imageId, 2);
  assert.deepEqual(ids(session), ["two"]);
});

test("switching shows no shapes until those of the new image are here", async () => {
  const { session, asked } = bench();
  session.open(1);
  asked[0].resolve(reply(1, ["one"]));
  await settled();
  session.open(2);
  assert.deepEqual(ids(session), []);
  assert.equal(session.ready, false);
});

test("nothing can be edited before the shapes are here", async () => {
  const { session, outbox } = bench();
  session.open(1);
  session.commit(create("early"));
  assert.equal(outbox.unsent, 0);
});

test("an edit shows at once and goes to the image it was made on", async () => {
  const { session, outbox, asked } = bench({ edits: "never" });
  session.open(1);
  asked[0].resolve(reply(1));
  await settled();
  session.commit(create("new"));
  session.open(2);
  assert.equal(outbox.pending(1).length, 1);
  assert.equal(outbox.pending(2).length, 0);
});

test("an unsent edit is laid over what the server says", async () => {
  const { session, asked } = bench({ edits: "never" });
  session.open(1);
  asked[0].resolve(reply(1));
  await settled();
  session.commit(create("new"));
  session.refresh();
  asked[1].resolve(reply(1, ["old"]));
  await settled();
  assert.deepEqual(ids(session), ["old", "new"]);
});

test("an edit saved while an older answer is on its way stays visible", async () => {
  const { session, outbox, asked } = bench();
  session.open(1);
  asked[0].resolve(reply(1));
  await settled();
  session.refresh(); // the server reads its rows now ...
  session.commit(create("new")); // ... and this is saved before the answer is here
  await settled();
  assert.equal(outbox.unsent, 0);
  asked[1].resolve(reply(1));
  await settled();
  assert.deepEqual(ids(session), ["new"]);
});

test("after undo the page looks at the server again", async () => {
  const { session, asked } = bench();
  session.open(1);
  asked[0].resolve(reply(1, ["a"], { can_undo: true }));
  await settled();
  session.undo();
  await settled();
  assert.equal(asked.length, 2);
  asked[1].resolve(reply(1, [], { can_redo: true }));
  await settled();
  assert.deepEqual([ids(session), session.canUndo, session.canRedo], [[], false, true]);
});

test("an edit of which the server skipped an item is not left on show", async () => {
  const { session, asked } = bench({ skipped: 1 });
  session.open(1);
  asked[0].resolve(reply(1, [], { predictions: [{ id: 7, category_id: 1, xyxy: [0, 0, 5, 5], mask: null, score: 0.9 }] }));
  await settled();
  session.commit([{ kind: "accept", items: [{ prediction_id: 7, annotation_id: "new" }] }]);
  assert.deepEqual(ids(session), ["new"]);
  await settled();
  asked[1].resolve(reply(1)); // newer predictions had replaced it
  await settled();
  assert.deepEqual(ids(session), []);
});

test("marking an image as done can be undone, and makes what was undone before unreachable", async () => {
  const { session, asked } = bench();
  session.open(1);
  asked[0].resolve(reply(1, [], { can_redo: true }));
  await settled();
  session.commit([{ kind: "mark", items: [{ done: true }] }]);
  assert.deepEqual([session.canUndo, session.canRedo], [true, false]);
});

test("undo with nothing to undo sends nothing", async () => {
  const { session, outbox, asked } = bench({ edits: "never" });
  session.open(1);
  asked[0].resolve(reply(1));
  await settled();
  session.undo();
  assert.equal(outbox.unsent, 0);
});

test("a failed refresh keeps what is shown", async () => {
  const { session, asked } = bench();
  session.open(1);
  asked[0].resolve(reply(1, ["a"]));
  await settled();
  session.refresh();
  asked[1].reject(Object.assign(new Error("gone"), { status: 0 }));
  await settled();
  assert.equal(session.ready, true);
  assert.deepEqual(ids(session), ["a"]);
});
