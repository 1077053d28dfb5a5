import assert from "node:assert/strict";
import { test } from "node:test";

import { ApiError, lineOf, makeApi } from "../../app/web/api.mjs";
import { durationText, progressText, watched } from "../../app/web/jobs.mjs";
import { makeMemory } from "../../app/web/memory.mjs";
import { detailOf, originOf } from "../../app/web/panel.mjs";
import { nameOf } from "../../app/web/welcome.mjs";

const answer = (status, text) => async () => ({ ok: status < 400, status, text: async () => text });
const BASE = "http://localhost/api/";

test("an error reply becomes its one line", () => {
  assert.equal(lineOf('{"error": "The box is too small."}', 422), "The box is too small.");
  assert.equal(lineOf('{"detail": [{"msg": "Field required"}]}', 422), "Field required");
  assert.match(lineOf("<html>", 502), /502/);
});

test("a refusal is final, a signed-out or busy server is not", async () => {
  const status = async (code) => makeApi(BASE, answer(code, "{}")).edit(1, {}).catch((error) => error.final);
  assert.deepEqual(await Promise.all([404, 409, 422, 401, 429, 503, 507].map(status)), [true, true, true, false, false, false, false]);
});

test("a server that does not answer is an ApiError with status 0", async () => {
  const api = makeApi(BASE, async () => { throw new TypeError("fetch failed"); });
  await assert.rejects(api.datasets(), (error) => error instanceof ApiError && error.status === 0 && !error.final);
});

test("a file's name is escaped in the address", async () => {
  let asked = "";
  const api = makeApi(BASE, async (url) => { asked = url; return { ok: true, text: async () => "{}" }; });
  await api.upload(3, { name: "a b&c=d/é.jpg" });
  assert.equal(asked, "http://localhost/api/datasets/3/upload?name=a%20b%26c%3Dd%2F%C3%A9.jpg");
});

test("edits outlive the page unless they are too large for that", async () => {
  const seen = [];
  const api = makeApi(BASE, async (url, options) => { seen.push(options.keepalive); return { ok: true, text: async () => "{}" }; });
  await api.edit(1, { items: [] });
  await api.edit(1, { items: ["x".repeat(70_000)] });
  assert.deepEqual(seen, [true, false]);
});

test("a job is watched until it ends", async () => {
  const states = [{ state: "queued" }, { state: "running" }, { state: "done" }];
  const seen = [];
  for await (const job of watched({ job: async () => states.shift() }, "j", { sleep: async () => {} })) seen.push(job.state);
  assert.deepEqual(seen, ["queued", "running", "done"]);
});

test("a server that pauses does not end the watch", async () => {
  const answers = [new ApiError("gone", 0), { state: "done" }];
  const job = async () => {
    const next = answers.shift();
    if (next instanceof Error) throw next;
    return next;
  };
  const seen = [];
  for await (const state of watched({ job }, "j", { sleep: async () => {} })) seen.push(state.state);
  assert.deepEqual(seen, ["done"]);
});

test("progress is said in words", () => {
  assert.equal(progressText({ state: "running", done: 3, total: 40, seconds_left: 130 }), "3 of 40 images · 2 min left");
  assert.equal(progressText({ state: "queued", done: 0, total: 0 }), "Waiting for its turn…");
  assert.deepEqual([0.2, 59, 3600, null].map(durationText), ["1 s", "59 s", "1 h 0 min", ""]);
});

test("a browser that may not remember falls back to the defaults", () => {
  const forbidden = { getItem() { throw new Error("denied"); }, setItem() { throw new Error("denied"); } };
  for (const storage of [forbidden, null]) {
    const memory = makeMemory(storage);
    memory.write("x", 1);
    assert.equal(memory.read("x", 7), 7);
  }
});

test("every shape says who or what made it", () => {
  assert.equal(originOf({ kind: "prediction", checkpoint: "starter", score: 0.812 }), "Predicted by starter · 0.81");
  const told = { kind: "prediction", checkpoint: "starter", score: 0.8 };
  assert.equal(originOf({ ...told, agreement: null }), "Predicted by starter · 0.80");
  assert.equal(originOf({ ...told, agreement: 0 }), "Predicted by starter · 0.80 · one detector alone");
  assert.equal(originOf({ ...told, agreement: 0.914 }), "Predicted by starter · 0.80 · a second detector agrees (91 %)");
  assert.equal(originOf({ kind: "annotation", source: "model", checkpoint: "starter", score: 0.5, created_by: "anna" }), "Found by starter, accepted by anna · 0.50");
  assert.equal(originOf({ kind: "annotation", source: "person", created_by: "anna" }), "Drawn by anna");
  assert.equal(originOf({ kind: "annotation", source: "person", created_by: "import" }), "Imported");
  assert.equal(detailOf({ xyxy: [1, 2, 11.4, 22], mask: null }), "10 × 20 px at 1, 2");
});

test("a folder's name is the last part of its path, on any system", () => {
  assert.equal(nameOf("/data/my cats/"), "my cats");
  assert.equal(nameOf("C:\\photos\\dogs"), "dogs");
});
