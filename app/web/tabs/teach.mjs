/** The Teach tab: fine-tune the detector on a dataset's boxes, watch it learn, compare, put it to work. */

import { durationText } from "../jobs.mjs";
import { makeChart } from "./chart.mjs";
import { datasets, onDataset } from "./dataset.mjs";
import { busy, field, fill, h, notice, select, setEnabled, whileShown } from "./dom.mjs";
import { change, count, moment, score, shortName } from "./format.mjs";
import { getJson, getPicture, sendJson } from "./http.mjs";
import { MODELS_CHANGED, promote } from "./models.mjs";
import { categoryChanges, headline, keptWords, measuredLines, scoreRows, soFar } from "./outcome.mjs";

const POLL_MS = 1000;
const MODES = [
  ["vocabulary", "Keep what it knows, add these"],
  ["closed", "Only these categories count"],
  ["open", "A test: leave a quarter of these untaught"],
];
const NO_DATASET = { reasons: ["There is no dataset yet: make one on the Data tab."] };
const STATES = { queued: "waiting", running: "learning", done: "done", failed: "failed", stopped: "stopped" };
const TONES = { running: "live", queued: "live", done: "good", failed: "bad" };

export function mount(element) {
  new Teach(element).start();
}

export function isActive(state) {
  return state === "running" || state === "queued";
}

class Teach {
  #dataset = null;
  #runId = null;
  #timer = 0;
  #shown = false;
  #picture = ""; // the address of the samples that are shown
  #asked = 0; // answers to older questions are dropped

  constructor(element) {
    this.form = new Form((body) => this.#teach(body), (mode) => this.#preview(mode));
    this.samples = h("div");
    this.view = new RunView((action) => this.#act(action));
    this.list = h("ul", { class: "gt-runs" });
    this.lead = h("p");
    const runs = h("div", {}, h("h2", {}, "Runs"), h("div", { class: "gt-card gt-card-flush" }, this.list));
    element.replaceChildren(
      h("header", { class: "gt-page-head" }, h("h1", {}, "Teach"), this.lead),
      h("div", { class: "gt-columns gt-columns-wide" }, h("div", { class: "gt-stack" }, this.view.element, this.samples), h("div", { class: "gt-stack" }, this.form.element, runs)),
    );
    this.element = element;
  }

  start() {
    onDataset(() => this.#reload());
    window.addEventListener(MODELS_CHANGED, () => this.#reload());
    whileShown(this.element, () => { this.#shown = true; this.#reload(); }, () => { this.#shown = false; clearTimeout(this.#timer); });
  }

  /** Everything anew: after a change, and each time the tab is shown. */
  async #reload(runId = this.#runId) {
    if (!this.#shown) return;
    clearTimeout(this.#timer);
    const asked = ++this.#asked;
    try {
      const { chosen } = await datasets();
      if (chosen?.id !== this.#dataset?.id) {
        runId = null;
        this.#hideSamples();
      }
      const [ready, { runs }, models] = await Promise.all([
        chosen ? getJson(`datasets/${chosen.id}/teachable`) : NO_DATASET,
        chosen ? getJson(`datasets/${chosen.id}/runs`) : { runs: [] },
        getJson("models"),
      ]);
      const run = runs.find((row) => row.id === runId) ?? runs[0] ?? null;
      const progress = run && await getJson(`runs/${run.id}`);
      if (asked !== this.#asked) return;
      this.#dataset = chosen;
      this.#runId = run?.id ?? null;
      this.lead.textContent = lead(chosen, ready);
      this.form.show(ready);
      this.#list(runs);
      this.view.show(run, progress, models);
      const active = runs.find((row) => isActive(row.state));
      if (active) this.#timer = setTimeout(() => this.#follow(active, run, models), POLL_MS);
    } catch (error) {
      if (asked === this.#asked) this.#failed(error);
    }
  }

  /** While a run is at work only its progress is asked for; everything else when it ends. */
  async #follow(active, shown, models) {
    const asked = this.#asked;
    try {
      const progress = await getJson(`runs/${active.id}`);
      if (asked !== this.#asked || !this.#shown) return;
      if (progress.state !== active.state) {
        if (!isActive(progress.state)) window.dispatchEvent(new Event(MODELS_CHANGED)); // reloads this tab too
        else await this.#reload();
        return;
      }
      if (active.id === shown.id) this.view.show(shown, progress, models);
      this.#timer = setTimeout(() => this.#follow(active, shown, models), POLL_MS);
    } catch (error) {
      if (asked === this.#asked) this.#failed(error);
    }
  }

  #failed(error) {
    this.view.say(notice("bad", error.message));
    this.#timer = setTimeout(() => this.#reload(), 5 * POLL_MS);
  }

  #list(runs) {
    fill(this.list, runs.length === 0 && h("li", { class: "gt-empty" }, "None yet."), runs.map((run) => h("li", {},
      h("button", { type: "button", "data-run": run.id, "aria-current": run.id === this.#runId ? "true" : null, onclick: () => this.#reload(run.id) },
        h("span", { class: "gt-name" }, run.name ?? moment(run.started_at)), pill(run.state),
        h("small", {}, run.error ?? summary(run))))));
  }

  async #teach(body) {
    const { run } = await sendJson(`datasets/${this.#dataset.id}/train`, body);
    await this.#reload(run);
  }

  async #preview(mode) {
    const address = await getPicture(`datasets/${this.#dataset.id}/preview?mode=${mode}`);
    this.#hideSamples();
    this.#picture = address;
    fill(this.samples, h("div", { class: "gt-card gt-stack" },
      h("h2", {}, "What is learnt from"),
      h("p", { class: "gt-quiet" }, "The first samples as the detector gets them: changed at random, padded (hatched), below each its prompt. Words in a colour name the boxes in that colour."),
      h("img", { class: "gt-samples", src: address, alt: "Training samples with their boxes and prompts", "data-testid": "samples" })));
    this.samples.scrollIntoView({ block: "nearest" });
  }

  #hideSamples() {
    if (this.#picture) URL.revokeObjectURL(this.#picture);
    this.#picture = "";
    fill(this.samples);
  }

  async #act(action) {
    if (action.promote) await promote(action.promote);
    else await sendJson(`runs/${this.#runId}/${action.do}`);
    await this.#reload();
  }
}

/** What to teach with, and the button; disabled with its reasons. */
class Form {
  constructor(onTeach, onPreview) {
    this.mode = select(MODES, "vocabulary");
    this.steps = h("input", { class: "gt-input", type: "number", min: 1, max: 1000000, step: 1, placeholder: "chosen to fit" });
    this.name = h("input", { class: "gt-input", type: "text", maxlength: 100, placeholder: "chosen for you" });
    this.button = h("button", { class: "gt-button gt-primary", type: "submit", disabled: true, "data-testid": "teach" }, "Teach");
    this.look = h("button", { class: "gt-button", type: "button", disabled: true, "data-testid": "preview" }, "Preview training samples");
    this.look.addEventListener("click", () => busy(this.look, (message) => fill(this.said, message), () => onPreview(this.mode.value)));
    this.why = h("div");
    this.said = h("div", { class: "gt-said" });
    const submit = (event) => {
      event.preventDefault();
      busy(this.button, (message) => fill(this.said, message), () => onTeach(this.#body()));
    };
    this.element = h("form", { class: "gt-card gt-form", onsubmit: submit }, h("h2", {}, "New run"),
      field("What should happen to the rest it knows", this.mode),
      h("div", { class: "gt-pair" }, field("Steps", this.steps), field("Name", this.name)),
      this.why, h("div", { class: "gt-row" }, this.button, this.look), this.said);
  }

  show({ reasons, warnings = [] }) {
    setEnabled(this.button, reasons.length === 0, reasons[0]);
    setEnabled(this.look, reasons.length === 0, reasons[0]);
    const told = reasons.length > 0 ? reasons : warnings;
    fill(this.why, told.length > 0 && h("div", { class: "gt-notice gt-reasons", role: "status" },
      told.map((reason) => h("p", {}, reason))));
  }

  #body() {
    const body = { mode: this.mode.value };
    if (this.steps.value) body.steps = Number(this.steps.value);
    if (this.name.value.trim()) body.name = this.name.value.trim();
    return body;
  }
}

/** One run: how far it is, its curves, the numbers before and after. Its parts stay in place while it is at work. */
class RunView {
  constructor(onAction) {
    this.head = h("div", { class: "gt-row gt-run-head" });
    this.bar = h("progress", { class: "gt-bar", max: 1, value: 0 });
    this.words = h("p", { class: "gt-quiet gt-run-words" });
    this.loss = makeChart("Loss", { empty: "Appears with the first steps" });
    this.ap = makeChart("On held-out images", { unit: true, empty: "Appears with the first validation" });
    this.numbers = h("div", { class: "gt-stack", "data-testid": "outcome" });
    this.buttons = h("div", { class: "gt-row" });
    this.said = h("div", { class: "gt-said" });
    this.act = (button, action) => busy(button, (message) => this.say(message), () => onAction(action));
    this.charts = h("div", { class: "gt-charts" }, this.loss.element, this.ap.element);
    this.element = h("div", { class: "gt-card gt-stack gt-run" }, this.head, h("div", {}, this.bar, this.words),
      this.charts, this.numbers, this.buttons, this.said);
  }

  say(message) {
    fill(this.said, message);
  }

  show(run, progress, { models, current }) {
    this.bar.hidden = this.charts.hidden = !run;
    if (!run) {
      fill(this.head, h("h2", {}, "No run yet"));
      this.words.textContent = "Label images, then press Teach: ten show how it works, a hundred make a detector. A run has its own process: it goes on when this page is closed.";
      fill(this.numbers);
      fill(this.buttons);
      return;
    }
    const { points, evaluations, steps } = progress;
    fill(this.head, h("h2", { class: "gt-name" }, run.name ?? `Run of ${moment(run.started_at)}`), pill(progress.state));
    this.bar.value = progress.state === "done" ? 1 : steps ? progress.step / steps : 0;
    this.words.textContent = words(progress);
    this.loss.draw([{ name: "", tone: 1, points: points.map((point) => [point.step, point.loss]) }], steps);
    this.ap.draw(measuredLines(evaluations), steps);
    fill(this.numbers, comparison(progress));
    fill(this.buttons, this.#actions(run, progress, models, current));
    fill(this.said, run.error && notice("bad", run.error), (progress.notes ?? []).map((note) => notice("plain", note)));
  }

  #actions(run, progress, models, current) {
    const made = models.find((model) => model.name === (progress.result?.checkpoint ?? run.name));
    const button = (text, action, kind = "") => {
      const element = h("button", { class: `gt-button ${kind}`, type: "button", "data-testid": action.do ?? "promote" }, text);
      element.addEventListener("click", () => this.act(element, action));
      return element;
    };
    if (isActive(progress.state)) return button("Stop and keep the best so far", { do: "stop" });
    return [
      made && made.name !== current && button("Put it to work", { promote: made.name }, "gt-primary"),
      made && made.name === current && h("span", { class: "gt-pill gt-pill-good" }, "at work on the Label tab"),
      run.resumable && button("Resume", { do: "resume" }),
    ];
  }
}

function lead(dataset, { detector }) {
  if (!dataset || !dataset.annotations || !detector) return "Fine-tunes the detector on the boxes you drew or accepted, and shows on held-out images whether it got better.";
  return `Fine-tunes ${shortName(detector)} on the ${count(dataset.annotations, "box", "boxes")} of ${dataset.name}, and shows on held-out images whether it got better.`;
}

function pill(state) {
  return h("span", { class: `gt-pill ${TONES[state] ? `gt-pill-${TONES[state]}` : ""}`, "data-state": state }, STATES[state] ?? state);
}

function words({ state, step, steps, eta_seconds: eta, evaluations }) {
  if (state === "queued" || (state === "running" && !steps && !evaluations.length)) return "Starting: reading the images and measuring the detector as it is.";
  const at = `step ${step.toLocaleString("en")} of ${steps.toLocaleString("en")}`;
  if (state === "running" && step === steps) return `${at} · measuring what it has learnt and saving it`;
  const left = state === "running" ? durationText(eta) : "";
  return left ? `${at} · about ${left} left` : at;
}

function summary(run) {
  const scores = headline(run.result);
  return `${moment(run.started_at)}${scores && ` · ${scores}`}`;
}

/** Before and after on the same images, for all and for each category, and what else the detector still knows. */
function comparison({ evaluations, result }) {
  const { before: first, best } = soFar(evaluations);
  const before = result?.before ?? first;
  const after = result?.metrics ?? best;
  if (!before || !after) return null;
  const categories = categoryChanges(result?.per_category_before, result?.per_category);
  const kept = keptWords(result?.kept);
  return [
    changes("On the same held-out images", scoreRows(before, after), result?.metrics ? "After" : "Best so far"),
    kept && h("p", { class: "gt-kept", title: "1: it still finds all that it found on them before it was taught" }, kept),
    categories.length > 0 && h("details", { class: "gt-categories", open: categories.length <= 12 },
      h("summary", {}, `AP50 of ${count(categories.length, "category", "categories")}`),
      h("div", { class: "gt-scroll" }, changes("Category", categories.map((row) => ({ ...row, text: row.name })), "After", true))),
  ];
}

function changes(title, rows, after, labels = false) {
  const heads = [title, ...(labels ? ["Labels"] : []), "Before", after, "Change"];
  const number = (text, tone = "") => h("td", { class: `gt-number ${tone}` }, text);
  return h("table", { class: "gt-table gt-scores" },
    h("thead", {}, h("tr", {}, heads.map((text, index) => h("th", { class: index ? "gt-number" : null }, text)))),
    h("tbody", {}, rows.map((row) => h("tr", {}, h("td", { class: labels ? "gt-name" : null, title: labels ? row.text : null }, row.text), labels && number(row.labels.toLocaleString("en")),
      number(score(row.before)), number(score(row.after)),
      number(change(row.before, row.after), row.after > row.before ? "gt-good" : row.after < row.before ? "gt-bad" : "")))));
}
