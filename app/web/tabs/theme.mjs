/** Light or dark: what the person chose, else what their system says. */

import { makeMemory } from "../memory.mjs";

const memory = makeMemory(globalThis.localStorage);
const system = matchMedia("(prefers-color-scheme: dark)");
const listeners = new Set();

export function isDark() {
  const chosen = memory.read("theme");
  return chosen === "dark" || (chosen !== "light" && system.matches);
}

export function toggleTheme() {
  memory.write("theme", isDark() ? "light" : "dark");
  applyTheme();
}

export function onTheme(listener) {
  listeners.add(listener);
}

/** Our styles read data-theme; Gradio's read the class, and Gradio sets it itself when the system changes. */
export function applyTheme() {
  const dark = isDark();
  document.documentElement.dataset.theme = dark ? "dark" : "light";
  document.body.classList.toggle("dark", dark);
  for (const listener of listeners) listener();
}

system.addEventListener("change", () => setTimeout(applyTheme));
applyTheme();
