/**
 * Boxes: [x1, y1, x2, y2] in pixels of the upright image, right and bottom exclusive.
 * Knows no canvas and no zoom.
 */

export const HANDLES = ["nw", "n", "ne", "e", "se", "s", "sw", "w"];

/** The smallest side the server accepts, px. */
export const MIN_SIDE_PX = 1;

export const width = (box) => box[2] - box[0];
export const height = (box) => box[3] - box[1];
export const area = (box) => width(box) * height(box);

export function contains(box, x, y) {
  return x >= box[0] && x < box[2] && y >= box[1] && y < box[3];
}

/** The box spanned by two corners, in whichever order they were drawn. */
export function spanned(ax, ay, bx, by) {
  return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)];
}

export function clipped(box, imageWidth, imageHeight) {
  return [
    clamp(box[0], 0, imageWidth),
    clamp(box[1], 0, imageHeight),
    clamp(box[2], 0, imageWidth),
    clamp(box[3], 0, imageHeight),
  ];
}

/** The box shifted by (dx, dy), stopped at the edge of the image so that it keeps its size. */
export function moved(box, dx, dy, imageWidth, imageHeight) {
  const x = clamp(dx, -box[0], imageWidth - box[2]);
  const y = clamp(dy, -box[1], imageHeight - box[3]);
  return [box[0] + x, box[1] + y, box[2] + x, box[3] + y];
}

/** The box after its handle was dragged to (x, y); a side dragged past its opposite flips. */
export function resized(box, handle, x, y, imageWidth, imageHeight) {
  let [x1, y1, x2, y2] = box;
  if (handle.includes("w")) x1 = x;
  if (handle.includes("e")) x2 = x;
  if (handle.includes("n")) y1 = y;
  if (handle.includes("s")) y2 = y;
  return clipped(spanned(x1, y1, x2, y2), imageWidth, imageHeight);
}

/** Where each handle sits: {nw: [x, y], ...}. */
export function handlePoints(box) {
  const [x1, y1, x2, y2] = box;
  const [cx, cy] = [(x1 + x2) / 2, (y1 + y2) / 2];
  return {
    nw: [x1, y1], n: [cx, y1], ne: [x2, y1], e: [x2, cy],
    se: [x2, y2], s: [cx, y2], sw: [x1, y2], w: [x1, cy],
  };
}

/** The handle within `reach` of (x, y), or null. Corners win over sides: they are listed apart. */
export function handleAt(box, x, y, reach) {
  const points = handlePoints(box);
  const order = ["nw", "ne", "se", "sw", "n", "e", "s", "w"];
  return order.find((name) => Math.hypot(points[name][0] - x, points[name][1] - y) <= reach) ?? null;
}

/** True when `after` is `before` moved without a change of size: its mask moves along. */
export function isTranslation(before, after, tolerance = 0.011) {
  return Math.abs(width(before) - width(after)) <= tolerance && Math.abs(height(before) - height(after)) <= tolerance;
}

export function hasArea(box) {
  return width(box) >= MIN_SIDE_PX && height(box) >= MIN_SIDE_PX;
}

/** Hundredths of a pixel: finer digits are noise of the pointer and only make the log longer. */
export function rounded(box) {
  return box.map((value) => Math.round(value * 100) / 100);
}

export function sameBox(a, b) {
  return a.every((value, index) => Math.abs(value - b[index]) < 0.005);
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), Math.max(low, high));
}
