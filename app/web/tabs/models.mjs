/** The Models tab: the detectors at hand, how good each is, and which one works on the Label tab. */

import { busy, fill, h, notice, setEnabled, whileShown } from "./dom.mjs";
import { EvaluationView } from "./evaluation.mjs";
import { moment, shortName } from "./format.mjs";
import { getJson, sendJson } from "./http.mjs";
import { worth } from "./outcome.mjs";

export const MODELS_CHANGED = "groundwork:models";

export function mount(element) {
  const table = h("div", { class: "gt-card gt-card-flush" });
  const advice = h("div");
  const evaluation = new EvaluationView();
  const said = h("div", { class: "gt-said" });
  const say = (message) => fill(said, message);
  const back = h("button", { class: "gt-button", type: "button" }, "Back to the one before");
  back.addEventListener("click", () => busy(back, say, async () => {
    const { current } = await sendJson("models/rollback");
    say(notice("good", `${current} is at work again.`));
    window.dispatchEvent(new Event(MODELS_CHANGED));
  }));
  element.replaceChildren(
    h("header", { class: "gt-page-head gt-with-action" },
      h("div", {}, h("h1", {}, "Models"), h("p", {}, "The detector at work finds the boxes on the Label tab and is the one that gets taught.")), back),
    said, table, advice, evaluation.element);
  const refresh = async () => {
    try {
      const { models, current, fetched } = await getJson("models");
      const known = models.some((model) => model.name === current);
      fill(table, list(known ? models : [{ name: current, label: shortName(current) }, ...models], current, say));
      fill(advice, fetched.length ? aboutFetched(fetched) : current === "starter" && aboutStarter());
      setEnabled(back, models.some((model) => model.base), "No checkpoint has been taught yet.");
    } catch (error) {
      fill(table, notice("bad", error.message));
    }
  };
  window.addEventListener(MODELS_CHANGED, () => { refresh(); evaluation.reload(); });
  whileShown(element, refresh);
}

function aboutStarter() {
  return h("div", { class: "gt-notice gt-advice" },
    h("p", {}, h("b", {}, "The starter knows 542 drawn things and no photos. "),
      "It learns yours on the Teach tab, from a hundred labelled photos or more. To find everyday things on photos at once, fetch a detector that knows thousands of them (hundreds of MB, once), then restart:"),
    h("div", { class: "gt-path" }, h("code", {}, "python3 launch.py models pull llmdet_tiny")));
}

function aboutFetched(names) {
  return h("div", { class: "gt-notice gt-advice", "data-testid": "fetched" },
    h("p", {}, h("b", {}, `Fetched: ${names.join(", ")}. `), "To work with one of them, stop the program and start it with its name:"),
    h("div", { class: "gt-path" }, h("code", {}, `python3 launch.py --detector ${names[0]}`)));
}

function list(models, current, say) {
  return h("table", { class: "gt-table" },
    h("thead", {}, h("tr", {}, ["Detector", "Taught from", "AP", "AP50", "Made", ""].map((name, index) =>
      h("th", { class: index === 2 || index === 3 ? "gt-number" : null }, name)))),
    h("tbody", {}, models.map((model) => row(model, current, say))));
}

function row(model, current, say) {
  const use = h("button", { class: "gt-button gt-small", type: "button" }, "Use");
  use.addEventListener("click", () => busy(use, say, () => promote(model.name)));
  return h("tr", { class: model.name === current ? "gt-current" : null },
    h("td", { class: "gt-name", title: model.name }, model.label ?? model.name),
    h("td", { class: "gt-quiet" }, model.base ? shortName(model.base) : "as it came"),
    worth(model.metrics).map((text) => h("td", { class: "gt-number" }, text)),
    h("td", { class: "gt-quiet" }, moment(model.created_at)),
    h("td", { class: "gt-actions" }, model.name === current ? h("span", { class: "gt-pill gt-pill-good" }, "at work") : use));
}

/** Put a detector to work and tell the rest of the page. */
export async function promote(name) {
  await sendJson("models/promote", { name });
  window.dispatchEvent(new Event(MODELS_CHANGED));
}
