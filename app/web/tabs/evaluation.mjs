/** The part of the Models tab that measures the detector at work on the dataset, and shows what it gets wrong. */

import { makeChart } from "./chart.mjs";
import { announceChange, datasets, onDataset } from "./dataset.mjs";
import { busy, fill, h, notice, select, setEnabled, whileShown } from "./dom.mjs";
import { change, count, moment, score, shortName } from "./format.mjs";
import { getJson, sendJson } from "./http.mjs";
import { categoryRows, comparedWith, curveLines, evaluationOf, firstSplit, heat, othersOf, splitChoices, thresholdChanges, thresholdWords } from "./measured.mjs";
import { followed } from "./progress.mjs";

const METRICS = ["AP", "AP50", "AP75", "AR100"];
const EVERYTHING = null; // the curve of all categories together

export class EvaluationView {
  #dataset = null;
  #answer = null; // of the server: evaluations, what can be measured on, the job at work
  #categories = [];
  #split = null;
  #compared = null; // the detector compared with; null: the newest other
  #category = EVERYTHING;
  #asked = 0;
  #following = null;

  constructor() {
    this.title = h("h2");
    this.lead = h("p", { class: "gt-quiet" });
    this.splits = h("span");
    this.measure = h("button", { class: "gt-button gt-primary", type: "button", "data-testid": "measure" }, "Measure");
    this.measure.addEventListener("click", () => busy(this.measure, (message) => fill(this.said, message), () => this.#start()));
    this.progress = h("div", { class: "gt-measuring" });
    this.said = h("div", { class: "gt-said" });
    setEnabled(this.measure, false, "The dataset is not there yet.");
    this.results = new Results({
      say: (message) => fill(this.said, message),
      onCategory: (name) => { this.#category = name; this.#draw(); },
      onCompared: (name) => { this.#compared = name; this.#draw(); },
    });
    this.element = h("section", { class: "gt-evaluation gt-stack", "aria-label": "Evaluation" },
      h("div", { class: "gt-with-action" }, h("div", {}, this.title, this.lead), h("div", { class: "gt-row gt-measure-row" }, this.splits, this.measure)),
      this.progress, this.said, this.results.element);
    onDataset(() => this.reload());
    whileShown(this.element, () => this.reload());
  }

  /** Everything anew: when the tab is shown, the dataset or the detector changes, and after a measurement. */
  async reload() {
    const asked = ++this.#asked;
    try {
      const { chosen } = await datasets();
      const [answer, known] = chosen
        ? await Promise.all([getJson(`datasets/${chosen.id}/evaluations`), getJson(`datasets/${chosen.id}/categories`)])
        : [null, { categories: [] }];
      if (asked !== this.#asked) return;
      if (chosen?.id !== this.#dataset?.id) this.#split = this.#compared = this.#category = null;
      this.#dataset = chosen;
      this.#answer = answer;
      this.#categories = known.categories;
      this.#draw();
      if (answer?.job) this.#follow(answer.job);
    } catch (error) {
      if (asked === this.#asked) fill(this.said, notice("bad", error.message));
    }
  }

  #draw() {
    const choices = splitChoices(this.#answer?.labelled ?? []);
    if (!choices.some(([value]) => value === this.#split)) this.#split = firstSplit(choices, this.#answer);
    const name = this.#dataset?.name;
    this.title.textContent = name ? `How well it finds what is labelled in ${name}` : "How well it finds what is labelled";
    fill(this.splits, choices.length > 0 && labelled("on", "Images to measure on", choices, (value) => { this.#split = value; this.#draw(); }));
    if (choices.length) this.splits.querySelector("select").value = this.#split;
    setEnabled(this.measure, choices.length > 0 && !this.#following, choices.length ? "It is being measured." : "Nothing is labelled yet.");
    const shown = this.#answer && evaluationOf(this.#answer.evaluations, this.#answer.detector, this.#split);
    this.lead.textContent = this.#words(choices, shown);
    this.results.element.hidden = !shown;
    if (!shown) return;
    const others = othersOf(this.#answer.evaluations, this.#answer.detector, this.#split);
    const before = comparedWith(others, this.#compared, this.#answer.base);
    this.results.show(shown, before, others, this.#categories, this.#category);
  }

  #words(choices, shown) {
    if (!this.#dataset) return "There is no dataset yet: make one on the Data tab.";
    if (!choices.length) return "Nothing measured yet: label some images, or mark empty ones as done, then measure.";
    const detector = shortName(this.#answer.detector);
    if (!shown) return `Nothing measured yet of ${detector} on these images. Measuring runs it over all of them and changes nothing.`;
    return `${detector} on ${count(shown.document.images, "image")}, measured ${moment(shown.measured_at)}.`;
  }

  async #start() {
    const { job } = await sendJson(`datasets/${this.#dataset.id}/evaluations`, { split: this.#split || null });
    await this.#follow(job);
  }

  /** Show a job until it ends; the same job is followed once, however often the tab is shown. */
  async #follow(job) {
    if (this.#following === job) return;
    this.#following = job;
    setEnabled(this.measure, false, "It is being measured.");
    try {
      const end = await followed(job, this.progress, "images");
      if (end.state === "failed") fill(this.said, notice("bad", end.error));
      if (end.state === "stopped") fill(this.said, notice("plain", "Stopped: what was measured before stays."));
    } catch (error) {
      fill(this.said, notice("bad", error.message));
    } finally {
      this.#following = null;
      fill(this.progress);
      await this.reload();
    }
  }
}

/** One evaluation: its numbers, beside another detector's where there is one, its curves, its confusions. */
class Results {
  constructor({ say, onCategory, onCompared }) {
    Object.assign(this, { say, onCategory, onCompared });
    this.notes = h("div", { class: "gt-said" });
    this.numbers = h("div");
    this.compare = h("div");
    this.pr = makeChart("Precision over recall", { fractions: true, unit: true, full: true, empty: "No prediction is right" });
    this.at = makeChart("At each threshold", { fractions: true, unit: true, full: true, empty: "No prediction" });
    this.rows = h("div", { class: "gt-card gt-card-flush gt-scroll" });
    this.use = h("button", { class: "gt-button", type: "button", "data-testid": "use-thresholds" }, "Use these thresholds");
    this.use.addEventListener("click", () => busy(this.use, say, () => this.#useThresholds()));
    this.about = h("p", { class: "gt-quiet" });
    this.matrix = h("div", { class: "gt-card gt-scroll gt-matrix-card" });
    this.under = h("p", { class: "gt-quiet" });
    this.element = h("div", { class: "gt-stack", "data-testid": "evaluation" }, this.notes,
      h("div", { class: "gt-card gt-stack" }, this.compare, this.numbers, h("div", { class: "gt-charts" }, this.pr.element, this.at.element)),
      h("div", { class: "gt-with-action" }, h("div", {}, h("h2", {}, "Categories"), this.about), this.use), this.rows,
      h("div", {}, h("h2", {}, "What is taken for what"), this.under), this.matrix);
  }

  show(evaluation, before, others, categories, chosen) {
    const { document } = evaluation;
    const rows = categoryRows(document, before?.document, categories);
    const category = rows.some((row) => row.name === chosen) ? chosen : EVERYTHING;
    this.changes = thresholdChanges(rows);
    fill(this.notes, evaluation.learnt_from && notice("plain", "It was taught on this dataset and may have learnt from these very images, so the numbers flatter. Import some of these images once more with the split val, so that it does not learn from them."));
    const names = others.map((other) => other.document.detector);
    fill(this.compare, names.length > 0 && labelled("compared with", "Compared with", names.map((name) => [name, shortName(name)]), this.onCompared));
    if (names.length) this.compare.querySelector("select").value = before.document.detector;
    fill(this.numbers, scores(document, before?.document));
    this.#curves(document, category);
    this.about.textContent = "The suggested threshold gives the best balance of found and false on these images. Press a row to see its curves.";
    const total = { labels: document.curves.all.labels, score: document.metrics.AP50, before: before?.document.metrics.AP50 };
    const focused = [...this.rows.querySelectorAll("tbody tr")].indexOf(globalThis.document.activeElement);
    fill(this.rows, this.#table(rows, category, total, before !== null));
    if (focused >= 0) this.rows.querySelectorAll("tbody tr")[focused]?.focus();
    const advised = rows.some((row) => row.advice);
    setEnabled(this.use, this.changes.length > 0, advised ? "Every category has its suggested threshold." : "Too few labels, or nothing right: nothing can be suggested.");
    this.#confusions(document);
  }

  #curves(document, category) {
    const curve = category === EVERYTHING ? document.curves.all : document.curves.per_category[category];
    const all = curveLines(document.curves.all);
    const own = curveLines(curve);
    const mark = category === EVERYTHING ? null : document.suggested_thresholds[category]?.threshold ?? null;
    this.pr.draw([
      ...(category === EVERYTHING ? [] : [{ name: "all", tone: 3, points: all.precisionRecall }]),
      { name: category ?? "all categories", tone: 1, points: own.precisionRecall },
    ], 1);
    this.at.draw([
      { name: "precision", tone: 1, points: own.precision }, { name: "recall", tone: 2, points: own.recall }, { name: "F1", tone: 3, points: own.f1 },
    ], 1, mark);
  }

  #table(rows, category, total, compared) {
    const heads = ["Category", "Labels", "AP50", ...(compared ? ["Before", "Change"] : []), "Threshold", "Suggested", "Precision", "Recall"];
    const changed = (before, now) => compared && [number(score(before)), h("td", { class: `gt-number ${tone(before, now)}` }, change(before, now))];
    return h("table", { class: "gt-table gt-pressable" },
      h("thead", {}, h("tr", {}, heads.map((text, index) => h("th", { class: index ? "gt-number" : null, title: index > heads.length - 3 ? "At the suggested threshold" : null }, text)))),
      h("tbody", {},
        this.#row(EVERYTHING, category, "All categories", number(total.labels.toLocaleString("en")), number(score(total.score)), changed(total.before, total.score), number(), number(), number(), number()),
        rows.map((of) => this.#row(of.name, category, of.name, number(of.labels.toLocaleString("en")), number(score(of.score)), changed(of.before, of.score),
          number(of.now === null ? h("span", { class: "gt-quiet" }, "common") : of.now.toFixed(2)),
          number(of.advice?.basis === "shared" && h("span", { class: "gt-quiet", title: "Fewer than 10 labels: the best threshold of all categories together" }, "shared "),
            of.advice ? h("b", {}, of.advice.threshold.toFixed(2)) : h("span", { class: "gt-quiet", title: "Too few labels, or nothing right" }, "–")),
          number(score(of.advice?.precision)), number(score(of.advice?.recall))))));
  }

  #row(name, chosen, text, ...cells) {
    const press = () => this.onCategory(name);
    return h("tr", {
      class: name === chosen ? "gt-current" : null, tabindex: 0, "data-category": name ?? "", onclick: press,
      onkeydown: (event) => { if (event.key === "Enter") press(); },
    }, h("td", { class: "gt-name", title: text }, text), cells);
  }

  #confusions(document) {
    const { columns, rows, left } = heat(document.confusion);
    this.under.textContent = `${thresholdWords(document)}. A row is what people say, a column what the detector says.${left ? ` ${count(left, "category", "categories")} with fewer boxes not shown.` : ""}`;
    fill(this.matrix, h("table", { class: "gt-matrix" },
      h("thead", {}, h("tr", {}, h("th"), columns.map((name) => h("th", { title: name }, h("span", {}, name))))),
      h("tbody", {}, rows.map((row) => h("tr", {}, h("th", { title: row.name }, row.name),
        row.cells.map((cell, index) => h("td", {
          class: `gt-cell-${cell.kind}`, style: cell.count ? `--gt-share: ${Math.round(cell.share * 100)}%` : null,
          title: cell.count ? `${cell.count} of ${row.total}: ${row.name} → ${columns[index]}` : null,
        }, cell.count ? cell.count.toLocaleString("en") : "")))))));
  }

  async #useThresholds() {
    const changes = this.changes;
    for (const { id, threshold } of changes) await sendJson(`categories/${id}`, { threshold }, "PATCH");
    announceChange(); // the Label tab shows by the new thresholds; this view reloads too
    this.say(notice("good", `${count(changes.length, "category has", "categories have")} the suggested threshold now.`));
  }
}

/** A select with its label before it; `fill` keeps one that looks the same, so its value is set afterwards. */
function labelled(text, name, choices, onchange) {
  const chosen = select(choices, null, (event) => onchange(event.target.value));
  chosen.setAttribute("aria-label", name);
  return h("label", { class: "gt-inline" }, h("span", { class: "gt-quiet" }, text), chosen);
}

function scores(document, before) {
  const rows = METRICS.filter((name) => score(document.metrics[name]) !== "–");
  const heads = before ? ["", "Before", "Now", "Change"] : ["", "Now"];
  return h("table", { class: "gt-table gt-scores" },
    h("thead", {}, h("tr", {}, heads.map((text, index) => h("th", { class: index ? "gt-number" : null }, text)))),
    h("tbody", {}, rows.map((name) => {
      const [then, now] = [before?.metrics[name], document.metrics[name]];
      return h("tr", {}, h("td", {}, name), before && number(score(then)), number(score(now)),
        before && h("td", { class: `gt-number ${tone(then, now)}` }, change(then, now)));
    })));
}

function number(...parts) {
  return h("td", { class: "gt-number" }, ...parts);
}

function tone(before, after) {
  if (change(before, after) === "") return "";
  return after > before ? "gt-good" : after < before ? "gt-bad" : "";
}
