/** The page's head: name, dataset switcher, what is running, light or dark. */

import { choose, datasets, onDataset } from "./dataset.mjs";
import { fill, h, whileShown } from "./dom.mjs";
import { shortName } from "./format.mjs";
import { getJson } from "./http.mjs";
import { isDark, onTheme, toggleTheme } from "./theme.mjs";

export function mount(element) {
  const picker = h("select", { class: "gt-input gt-switcher", "aria-label": "Dataset" });
  const running = h("span", { class: "gt-running" });
  const theme = h("button", { class: "gt-icon-button", type: "button", onclick: toggleTheme }, "◐");
  picker.addEventListener("change", () => choose(Number(picker.value)));
  element.replaceChildren(
    h("div", { class: "gt-brand" }, mark(), h("strong", {}, "Groundwork")),
    h("div", { class: "gt-head-right" }, picker, running, theme),
  );
  const label = () => {
    const text = isDark() ? "Change to light" : "Change to dark";
    theme.setAttribute("aria-label", text);
    theme.title = text;
  };
  onTheme(label);
  label();
  const refresh = () => Promise.all([listDatasets(picker), showRunning(running)]).catch(() => {});
  onDataset(refresh);
  window.addEventListener("groundwork:models", refresh);
  window.addEventListener("focus", refresh);
  whileShown(element, refresh);
  // The stage has a dataset list of its own: two on one screen would be one too many.
  const stage = document.getElementById("gw-label");
  if (stage) whileShown(stage, () => { picker.hidden = true; }, () => { picker.hidden = false; });
}

function mark() {
  const square = h("span", { class: "gt-mark", "aria-hidden": "true" });
  square.append(h("i"), h("i"));
  return square;
}

async function listDatasets(picker) {
  const { all, chosen } = await datasets();
  fill(picker, all.length
    ? all.map((row) => h("option", { value: row.id }, row.name))
    : h("option", { value: "" }, "no dataset yet"));
  picker.disabled = all.length === 0;
  picker.value = chosen ? String(chosen.id) : "";
  picker.title = chosen ? `${chosen.name}: ${chosen.images} images, ${chosen.done} done` : "Open the Data tab to make one.";
}

async function showRunning(running) {
  const { detector, device, version } = await getJson("status");
  fill(running, h("span", { class: "gt-quiet" }, "detector "), h("b", {}, shortName(detector)), h("span", { class: "gt-quiet" }, ` · ${device}`));
  running.title = `${detector} on ${device}, Groundwork ${version}`;
}
