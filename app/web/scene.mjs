/**
 * What the renderer draws, worked out once per change instead of once per frame: boxes grouped by colour
 * so that each group is one path, and the labels with their text.
 */

import { inkOn } from "./colour.mjs";

const UNKNOWN_COLOUR = "#8a8f98";

/**
 * @param shapes from `listed`
 * @param categories rows with id, name, color
 * @returns {groups: [{color, ink, solid: box[], dashed: box[]}], labels: [{box, text, color, ink}],
 *           masks: [{mask, color, faint}], byKey: Map}
 */
export function sceneOf(shapes, categories, { without = null } = {}) {
  const named = new Map(categories.map((category) => [category.id, category]));
  const groups = new Map();
  const labels = [];
  const masks = [];
  for (const shape of shapes) {
    if (shape.key === without) continue;
    const color = named.get(shape.category_id)?.color ?? UNKNOWN_COLOUR;
    if (!groups.has(color)) groups.set(color, { color, ink: inkOn(color), solid: [], dashed: [] });
    const group = groups.get(color);
    const predicted = shape.kind === "prediction";
    group[predicted ? "dashed" : "solid"].push(shape.xyxy);
    labels.push({ box: shape.xyxy, text: labelOf(shape, named.get(shape.category_id)), color, ink: group.ink, predicted });
    if (shape.mask) masks.push({ mask: shape.mask, color, faint: predicted });
  }
  return { groups: [...groups.values()], labels, masks };
}

/** "red car .81" on a prediction, "red car" on an annotation. */
export function labelOf(shape, category) {
  const name = shorten(category?.name ?? "unknown", 28);
  return shape.kind === "prediction" ? `${name} ${scoreText(shape.score)}` : name;
}

export function scoreText(score) {
  return score === null || score === undefined ? "" : score.toFixed(2);
}

export function shorten(text, limit) {
  const letters = Array.from(text); // whole characters: an emoji is never cut in half
  return letters.length <= limit ? text : `${letters.slice(0, limit - 1).join("")}…`;
}
