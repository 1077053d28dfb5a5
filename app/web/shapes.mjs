/**
 * The shapes of one image: annotations and pending predictions, as plain values.
 * `applied` mirrors what the server does with an edit, so that the page can show it before the answer.
 */

import { isTranslation } from "./geometry.mjs";
import { shifted } from "./rle.mjs";

export const EMPTY = Object.freeze({ image: null, categories: [], annotations: [], predictions: [] });

export const annotationKey = (id) => `a:${id}`;
export const predictionKey = (id) => `p:${id}`;

/** The state from `GET /api/images/{id}/shapes`. */
export function fromReply(reply) {
  return {
    image: reply.image,
    categories: reply.categories,
    annotations: reply.annotations,
    predictions: reply.predictions,
  };
}

/** The state with the edits that the server may not have seen yet laid over it, in order. */
export function rebased(state, edits) {
  return edits.reduce(applied, state);
}

/** The state after one edit {kind, items}. Items that name unknown shapes change nothing. */
export function applied(state, edit) {
  const change = CHANGES[edit.kind];
  return change ? edit.items.reduce(change, state) : state;
}

const CHANGES = {
  create(state, item) {
    const annotation = {
      id: item.id, category_id: item.category_id, xyxy: item.xyxy, mask: item.mask ?? null,
      source: "person", score: null, checkpoint: null, prompt: null, created_by: null, updated_by: null,
    };
    return { ...state, annotations: [...state.annotations.filter((one) => one.id !== item.id), annotation] };
  },

  update(state, item) {
    return { ...state, annotations: state.annotations.map((one) => (one.id === item.id ? updated(one, item) : one)) };
  },

  delete(state, item) {
    return { ...state, annotations: state.annotations.filter((one) => one.id !== item.id) };
  },

  accept(state, item) {
    const prediction = state.predictions.find((one) => one.id === item.prediction_id);
    if (!prediction) return state;
    const annotation = { ...prediction, id: item.annotation_id, source: "model", created_by: null, updated_by: null };
    return {
      ...state,
      predictions: state.predictions.filter((one) => one !== prediction),
      annotations: [...state.annotations.filter((one) => one.id !== item.annotation_id), annotation],
    };
  },

  reject(state, item) {
    return { ...state, predictions: state.predictions.filter((one) => one.id !== item.prediction_id) };
  },

  mark(state, item) {
    return { ...state, image: { ...state.image, done: item.done } };
  },
};

/** A pure move takes the mask along; any other change of the box makes the mask wrong, so it goes. */
function updated(annotation, item) {
  const after = { ...annotation, ...item };
  if (item.xyxy && item.mask === undefined && annotation.mask) {
    after.mask = isTranslation(annotation.xyxy, item.xyxy)
      ? shifted(annotation.mask, item.xyxy[0] - annotation.xyxy[0], item.xyxy[1] - annotation.xyxy[1])
      : null;
  }
  return after;
}

/** One list of {key, kind, ...row}: annotations first, then the predictions at or above their threshold. */
export function listed(state, { confidence = 0, hidden = new Set() } = {}) {
  const limits = new Map(state.categories.map((category) => [category.id, thresholdOf(category, confidence)]));
  const annotations = state.annotations
    .filter((row) => !hidden.has(row.category_id))
    .map((row) => ({ ...row, key: annotationKey(row.id), kind: "annotation" }));
  const predictions = state.predictions
    .filter((row) => !hidden.has(row.category_id) && row.score >= (limits.get(row.category_id) ?? confidence))
    .map((row) => ({ ...row, key: predictionKey(row.id), kind: "prediction" }));
  return annotations.concat(predictions);
}

/** A category's own threshold wins over the confidence slider of the page. */
export function thresholdOf(category, confidence) {
  return category.threshold ?? confidence;
}

/** category id -> {annotations, predictions}, of the shapes listed. */
export function countsByCategory(shapes) {
  const counts = new Map();
  for (const shape of shapes) {
    const count = counts.get(shape.category_id) ?? { annotations: 0, predictions: 0 };
    count[shape.kind === "annotation" ? "annotations" : "predictions"]++;
    counts.set(shape.category_id, count);
  }
  return counts;
}

/**
 * The key of the prediction after (or before) the selected one, in reading order; null when there is none.
 * Reading order, not score order: the eye moves little, and the order stays while the slider moves.
 */
export function neighbouringPrediction(shapes, selectedKey, step = 1) {
  const order = inReadingOrder(shapes.filter((shape) => shape.kind === "prediction" || shape.key === selectedKey));
  const at = order.findIndex((shape) => shape.key === selectedKey);
  const rest = at < 0 ? order : [...order.slice(at + 1), ...order.slice(0, at)];
  const candidates = rest.filter((shape) => shape.kind === "prediction");
  if (candidates.length === 0) return null;
  return (step > 0 ? candidates[0] : candidates[candidates.length - 1]).key;
}

function inReadingOrder(shapes) {
  return [...shapes].sort((a, b) => a.xyxy[1] - b.xyxy[1] || a.xyxy[0] - b.xyxy[0]);
}
