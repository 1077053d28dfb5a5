/** What the page shows of what a training run has learnt, as plain values. Knows no DOM. */

import { change, score } from "./format.mjs";

const BOXES = ["AP", "AP50", "AP75"];
const PARTS = [["AP50_base", "AP50 of what was taught"], ["AP50_novel", "AP50 of what was held out"]];
const TEXTS = [["R@1", "R@1 of phrases"], ["P@1", "P@1 of expressions"]];
const NAMES = new Map([...BOXES.map((name) => [name, name]), ...PARTS, ...TEXTS]);

/** The measures in use, boxes before texts: a dataset of captions alone has no AP. */
export function measures(...found) {
  return [...NAMES.keys()].filter((name) => found.some((metrics) => measured(metrics?.[name])));
}

/** [{name, text, before, after}] for a table. */
export function scoreRows(before, after) {
  return measures(before, after).map((name) => ({ name, text: NAMES.get(name), before: before?.[name], after: after?.[name] }));
}

/** A run in one line: "AP50 0.120 → 0.731", of texts where there are no boxes; "" while nothing is known. */
export function headline({ before, metrics } = {}) {
  const name = ["AP50", "R@1", "P@1"].find((key) => change(before?.[key], metrics?.[key]));
  return name ? `${name} ${score(before[name])} → ${score(metrics[name])}` : "";
}

/** What a checkpoint is worth in its two columns of the list: AP and AP50, or the measures of texts. */
export function worth(metrics) {
  const texts = TEXTS.map(([name]) => name).filter((name) => measured(metrics?.[name]));
  if (measured(metrics?.AP50) || texts.length === 0) return [score(metrics?.AP), score(metrics?.AP50)];
  return ["P@1", "R@1"].map((name) => (texts.includes(name) ? `${name} ${score(metrics[name])}` : "–"));
}

/** Lines for the chart of measurements: two at most, AP50 and AP, or those of texts. */
export function measuredLines(evaluations) {
  const found = measures(...evaluations);
  const shown = found.includes("AP50") ? ["AP50", "AP"] : found.slice(0, 2);
  return shown.map((name, index) => ({
    name, tone: index + 1, dots: true, points: evaluations.filter((row) => measured(row[name])).map((row) => [row.step, row[name]]),
  }));
}

/** The measurement before the first step, and the best since: of weights that a run would keep if it ended now. */
export function soFar(evaluations) {
  const best = evaluations.at(-1)?.best_step ?? 0;
  return { before: evaluations.find((row) => row.step === 0) ?? null, best: best ? evaluations.find((row) => row.step === best) ?? null : null };
}

/** [{name, labels, before, after}] of the categories with labels, the most labels first; none for one category. */
export function categoryChanges(before, after) {
  const rows = Object.entries(after ?? {})
    .map(([name, values]) => ({ name, labels: values.annotations ?? 0, before: before?.[name]?.AP50 ?? null, after: values.AP50 ?? null }))
    .filter((row) => row.labels > 0)
    .sort((a, b) => b.labels - a.labels);
  return rows.length > 1 ? rows : [];
}

/** In words, what a run kept of what its base knew; "" where that was not measured. */
export function keptWords(kept) {
  return measured(kept) ? `Kept of what it was sure of on other images: ${score(kept)} of 1.` : "";
}

function measured(value) {
  return score(value) !== "–";
}
