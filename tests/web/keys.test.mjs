import assert from "node:assert/strict";
import { test } from "node:test";

import { keyName, shortcutFor, SHORTCUTS, takesKey } from "../../app/web/keys.mjs";

const press = (key, more = {}) => ({ key, code: "", ctrlKey: false, metaKey: false, altKey: false, shiftKey: false, ...more });

test("no key does two things", () => {
  const keys = SHORTCUTS.flatMap((shortcut) => shortcut.keys);
  assert.equal(new Set(keys).size, keys.length);
});

test("Cmd works as Ctrl does", () => {
  assert.equal(shortcutFor(press("z", { metaKey: true })).does, "undo");
  assert.equal(shortcutFor(press("Z", { ctrlKey: true, shiftKey: true })).does, "redo");
  assert.equal(shortcutFor(press("y", { ctrlKey: true })).does, "redo");
});

test("digits work on layouts where they need Shift", () => {
  assert.equal(keyName(press("&", { code: "Digit1" })), "1"); // French
  assert.equal(shortcutFor(press("&", { code: "Digit1" })).does, "category");
});

test("a question mark is one wherever it lies", () => {
  assert.equal(shortcutFor(press("?", { code: "Minus", shiftKey: true })).does, "help"); // German
});

test("what the browser uses Ctrl for is left to it", () => {
  for (const key of ["d", "f", "b", "p", "1", "0", "-", "+"]) assert.equal(shortcutFor(press(key, { ctrlKey: true })), null);
});

test("typing is never a shortcut", () => {
  for (const element of [{ tagName: "TEXTAREA" }, { tagName: "SELECT" }, { tagName: "INPUT", type: "text" }, { tagName: "DIV", isContentEditable: true }]) {
    assert.equal(takesKey(element, "D"), true);
  }
});

test("a slider keeps its arrows and lets letters through", () => {
  const slider = { tagName: "INPUT", type: "range" };
  assert.equal(takesKey(slider, "ArrowLeft"), true);
  assert.equal(takesKey(slider, "D"), false);
});

test("a button keeps Enter, Space and Tab", () => {
  const button = { tagName: "BUTTON", type: "button" };
  assert.deepEqual(["Enter", "Space", "Tab", "B"].map((name) => takesKey(button, name)), [true, true, true, false]);
});
