import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

const WEB = new URL("../../app/web/", import.meta.url);
const read = (name) => readFileSync(new URL(name, WEB), "utf8");
const MODULES = readdirSync(WEB).filter((name) => name.endsWith(".mjs")).concat(readdirSync(new URL("tools/", WEB)).map((name) => `tools/${name}`));

test("the template is constant: nothing in it is evaluated", () => {
  // Gradio evaluates a template as Handlebars and then as a JS template literal
  assert.doesNotMatch(read("stage.html"), /\$\{|\{\{|`|\\|@children|<script|\son\w+=|\sstyle=/);
});

test("every part a module asks for is in the template, once", () => {
  const template = read("stage.html");
  const wanted = new Set(MODULES.flatMap((name) => [...read(name).matchAll(/\bpart\("([\w-]+)"\)/g)].map((found) => found[1])));
  assert.ok(wanted.size > 40);
  for (const name of wanted) assert.equal(template.split(`data-testid="${name}"`).length, 2, name);
});

test("no module makes markup or code out of text", () => {
  for (const name of MODULES) {
    assert.doesNotMatch(read(name), /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|\balert\(|\bconfirm\(/, name);
  }
});

test("no module and no style reaches outside", () => {
  for (const name of [...MODULES, "stage.css", "tokens.css", "stage.html"]) assert.doesNotMatch(read(name), /https?:\/\//, name);
});

test("every icon button has a name for those who can't see it", () => {
  for (const [button] of read("stage.html").matchAll(/<button[^>]*class="gw-(?:icon-button|tool)[^>]*>/g)) assert.match(button, /aria-label="/);
});
