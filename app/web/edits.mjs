/**
 * What a person means, as the edits the server knows: lists of {kind, items}.
 * Touching a prediction accepts it first: from then on it is the person's annotation.
 */

import { rounded } from "./geometry.mjs";
import { newId } from "./ids.mjs";

export function toCreate(categoryId, box, mask = null, id = newId()) {
  return [{ kind: "create", items: [{ id, category_id: categoryId, xyxy: rounded(box), mask }] }];
}

export function toReshape(shape, box, id = newId()) {
  return changed(shape, { xyxy: rounded(box) }, id);
}

export function toRelabel(shape, categoryId, id = newId()) {
  return shape.category_id === categoryId ? [] : changed(shape, { category_id: categoryId }, id);
}

export function toMask(shape, mask, box, id = newId()) {
  return changed(shape, { mask, xyxy: rounded(box) }, id);
}

export function toRemove(shape) {
  return shape.kind === "prediction"
    ? [{ kind: "reject", items: [{ prediction_id: shape.id }] }]
    : [{ kind: "delete", items: [{ id: shape.id }] }];
}

/** One edit for all the predictions among the shapes, so that one undo takes them all back. */
export function toAccept(shapes, makeId = newId) {
  const items = shapes
    .filter((shape) => shape.kind === "prediction")
    .map((shape) => ({ prediction_id: shape.id, annotation_id: makeId() }));
  return items.length ? [{ kind: "accept", items }] : [];
}

export function toMark(done) {
  return [{ kind: "mark", items: [{ done }] }];
}

function changed(shape, fields, id) {
  if (shape.kind === "annotation") return [{ kind: "update", items: [{ id: shape.id, ...fields }] }];
  return [
    { kind: "accept", items: [{ prediction_id: shape.id, annotation_id: id }] },
    { kind: "update", items: [{ id, ...fields }] },
  ];
}
