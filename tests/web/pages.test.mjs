import assert from "node:assert/strict";
import { test } from "node:test";

import { PAGE_SIZE, Pages, rowsInView, stateOf } from "../../app/web/pages.mjs";

function library(total) {
  const asked = [];
  const fetchPage = async ({ offset, limit }) => {
    asked.push(offset);
    const items = Array.from({ length: Math.max(0, Math.min(limit, total - offset)) }, (_, at) => ({ id: offset + at, pending: 0, annotations: 0 }));
    return { total, items };
  };
  return { asked, fetchPage };
}

test("only the pages looked at are fetched, each once", async () => {
  const { asked, fetchPage } = library(100_000);
  const pages = new Pages({ fetchPage });
  await pages.restart({ filter: "all" });
  await pages.need(50_000, 50_020);
  await pages.need(50_000, 50_020);
  assert.deepEqual(asked, [0, 50_000]);
  assert.equal(pages.rows[50_010].id, 50_010);
});

test("a window across two pages fetches both", async () => {
  const { asked, fetchPage } = library(1000);
  const pages = new Pages({ fetchPage });
  await pages.restart({});
  await pages.need(PAGE_SIZE * 2 - 5, PAGE_SIZE * 2 + 5);
  assert.deepEqual(asked, [0, 100, 200]);
});

test("rows beyond the end do not exist", async () => {
  const pages = new Pages(library(3));
  await pages.restart({});
  assert.equal(await pages.row(3), null);
  assert.equal(await pages.row(-1), null);
  assert.equal((await pages.row(2)).id, 2);
});

test("an answer to an old search is thrown away", async () => {
  const waiting = [];
  const pages = new Pages({ fetchPage: (query) => new Promise((resolve) => waiting.push({ query, resolve })) });
  pages.restart({ search: "a" });
  const second = pages.restart({ search: "b" });
  waiting[1].resolve({ total: 1, items: [{ id: 2 }] });
  waiting[0].resolve({ total: 1, items: [{ id: 1 }] });
  await second;
  assert.equal(pages.rows[0].id, 2);
});

test("a failed page is asked for again later", async () => {
  let fails = true;
  const errors = [];
  const pages = new Pages({
    fetchPage: async () => { if (fails) throw new Error("down"); return { total: 1, items: [{ id: 1 }] }; },
    onError: (error) => errors.push(error.message),
  });
  await pages.restart({});
  fails = false;
  await pages.need(0, 0);
  assert.deepEqual(errors, ["down"]);
  assert.equal(pages.rows[0].id, 1);
});

test("a patched row keeps its place", async () => {
  const pages = new Pages(library(5));
  await pages.restart({});
  pages.patch(3, { done: true });
  assert.equal(pages.rows[3].done, true);
  assert.equal(pages.rows.length, 5);
});

test("the rows in view are those the window touches, and a few more", () => {
  // 56 px rows: scrolled by 560 the first is row 10; 280 px show rows 10..14
  assert.deepEqual(rowsInView(560, 280, 56, 1000, 2), { first: 8, last: 16 });
  assert.deepEqual(rowsInView(0, 280, 56, 3, 2), { first: 0, last: 2 });
  assert.deepEqual(rowsInView(0, 280, 56, 0), { first: 0, last: -1 });
});

test("done wins over to review, to review over labelled", () => {
  assert.equal(stateOf({ done: true, pending: 3, annotations: 1 }), "done");
  assert.equal(stateOf({ done: false, pending: 3, annotations: 1 }), "review");
  assert.equal(stateOf({ done: false, pending: 0, annotations: 1 }), "labelled");
  assert.equal(stateOf({ done: false, pending: 0, annotations: 0 }), "new");
});
