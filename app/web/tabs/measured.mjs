/** What the page shows of an evaluation, as plain values. Knows no DOM. */

export const SPLITS = ["val", "test", "train"];
export const ALL = "";

/** [value, text] for each split that has labelled images, best judge first; `ALL` is every labelled image. */
export function splitChoices(labelled) {
  const total = labelled.reduce((sum, row) => sum + row.images, 0);
  if (!total) return [];
  const own = SPLITS.map((split) => labelled.find((row) => row.split === split)).filter(Boolean);
  return [
    ...own.map(({ split, images }) => [split, `${split} (${images.toLocaleString("en")})`]),
    [ALL, `all labelled images (${total.toLocaleString("en")})`],
  ];
}

/** The split to open with: where the detector was measured last, else the best judge; null where there is none. */
export function firstSplit(choices, answer) {
  const values = choices.map(([value]) => value);
  const own = (answer?.evaluations ?? []).filter(({ document }) => document.task === "detect" && document.detector === answer.detector);
  return own.map(({ document }) => document.split ?? ALL).find((split) => values.includes(split)) ?? values[0] ?? null;
}

/** The newest evaluation of a detector's boxes on a split, or null. */
export function evaluationOf(evaluations, detector, split) {
  return ofSplit(evaluations, split).find(({ document }) => document.detector === detector) ?? null;
}

/** Evaluations of other detectors on the same split, newest first: what there is to compare with. */
export function othersOf(evaluations, detector, split) {
  return ofSplit(evaluations, split).filter(({ document }) => document.detector !== detector);
}

/** Which of the others to compare with: the one asked for, else what the detector was taught from, else the newest. */
export function comparedWith(others, asked, base) {
  const named = (name) => others.find(({ document }) => document.detector === name);
  return named(asked) ?? named(base) ?? others[0] ?? null;
}

/** In words, at which thresholds the confusions were counted. */
export function thresholdWords({ confusion, suggested_thresholds: advice }) {
  const used = Object.entries(confusion.thresholds);
  if (used.every(([name, value]) => !advice[name] || Math.abs(advice[name].threshold - value) < 1e-3)) return "At the suggested thresholds";
  const values = new Set(used.map(([, value]) => value));
  return values.size === 1 ? `At threshold ${used[0][1].toFixed(2)}` : "At thresholds chosen for it";
}

function ofSplit(evaluations, split) {
  return evaluations.filter(({ document }) => document.task === "detect" && (document.split ?? ALL) === split);
}

/** A row for each labelled category, the most labels first; `categories` are those of the dataset as it is now. */
export function categoryRows(document, before, categories) {
  const present = new Map(categories.map((category) => [category.name, category]));
  return Object.entries(document.per_category)
    .map(([name, values]) => ({
      name,
      id: present.get(name)?.id ?? null,
      color: present.get(name)?.color ?? null,
      labels: values.annotations,
      score: values.AP50,
      before: before?.per_category[name]?.AP50 ?? null,
      now: present.get(name)?.threshold ?? null,
      advice: document.suggested_thresholds?.[name] ?? null,
    }))
    .filter((row) => row.labels > 0)
    .sort((a, b) => b.labels - a.labels);
}

/** What to change so that every category has its suggested threshold. */
export function thresholdChanges(rows) {
  return rows
    .filter(({ id, advice, now }) => id !== null && advice && Math.abs((now ?? -1) - advice.threshold) > 1e-6)
    .map(({ id, advice }) => ({ id, threshold: advice.threshold }));
}

/** Lines of a curve: precision over recall, and precision, recall and F1 over the threshold from low to high. */
export function curveLines({ thresholds, precision, recall, f1 }) {
  const over = (values) => thresholds.map((threshold, index) => [threshold, values[index]]).reverse();
  return {
    precisionRecall: recall.map((value, index) => [value, precision[index]]),
    precision: over(precision),
    recall: over(recall),
    f1: over(f1),
  };
}

/**
 * The part of a confusion matrix that a screen can show: at most `most` categories, those that occur most.
 * Each row is {name, total, cells: [{count, share, kind}]}; share is of the row; kind is "right", "wrong" or "none".
 */
export function heat({ names, matrix }, most = 16) {
  const background = names.length;
  const weight = names.map((_, index) => sum(matrix[index]) + sum(matrix.map((row) => row[index])));
  const busy = names.map((_, index) => index).filter((index) => weight[index] > 0);
  const shown = [...busy].sort((a, b) => weight[b] - weight[a] || a - b).slice(0, most).sort((a, b) => a - b);
  const order = [...shown, background];
  const rows = order.map((row) => {
    const total = sum(matrix[row]);
    const cells = order.map((column) => ({
      count: matrix[row][column],
      share: total ? matrix[row][column] / total : 0,
      kind: !matrix[row][column] ? "none" : row === column ? "right" : "wrong",
    }));
    return { name: row === background ? "nothing there" : names[row], total, cells };
  });
  return { columns: [...shown.map((index) => names[index]), "missed"], rows, left: busy.length - shown.length };
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}
