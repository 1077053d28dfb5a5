/**
 * The viewport: {scale, x, y}, where screen = image * scale + (x, y) in CSS pixels of the canvas.
 * Pure values; `view` is {width, height} of the canvas, `image` is {width, height} of the picture.
 */

export const MAX_SCALE = 64;
const FIT_MARGIN_PX = 20;
const FIT_MAX_SCALE = 8; // a 32 px icon is enlarged, yet not into a wall of squares
const KEEP_VISIBLE_PX = 48; // this much of the picture always stays in view

export const IDENTITY = Object.freeze({ scale: 1, x: 0, y: 0 });

export function fitted(image, view) {
  const room = {
    width: Math.max(view.width - 2 * FIT_MARGIN_PX, 16),
    height: Math.max(view.height - 2 * FIT_MARGIN_PX, 16),
  };
  const scale = Math.min(room.width / image.width, room.height / image.height, FIT_MAX_SCALE);
  return centred(image, view, scale);
}

export function centred(image, view, scale) {
  return { scale, x: (view.width - image.width * scale) / 2, y: (view.height - image.height * scale) / 2 };
}

/** Zoomed by `factor` so that the image point under the screen point stays under it. */
export function zoomedAt(viewport, factor, screenX, screenY, image, view) {
  const smallest = Math.min(fitted(image, view).scale / 2, 1);
  const scale = Math.min(Math.max(viewport.scale * factor, smallest), MAX_SCALE);
  const ratio = scale / viewport.scale;
  const zoomed = { scale, x: screenX - (screenX - viewport.x) * ratio, y: screenY - (screenY - viewport.y) * ratio };
  return kept(zoomed, image, view);
}

export function panned(viewport, dx, dy, image, view) {
  return kept({ ...viewport, x: viewport.x + dx, y: viewport.y + dy }, image, view);
}

/** Moved back just so far that a strip of the picture is in view: it can't be lost off-screen. */
export function kept(viewport, image, view) {
  const [w, h] = [image.width * viewport.scale, image.height * viewport.scale];
  const [keepX, keepY] = [Math.min(KEEP_VISIBLE_PX, w), Math.min(KEEP_VISIBLE_PX, h)];
  return {
    scale: viewport.scale,
    x: Math.min(Math.max(viewport.x, keepX - w), view.width - keepX),
    y: Math.min(Math.max(viewport.y, keepY - h), view.height - keepY),
  };
}

export function toImage(viewport, screenX, screenY) {
  return [(screenX - viewport.x) / viewport.scale, (screenY - viewport.y) / viewport.scale];
}

export function toScreen(viewport, imageX, imageY) {
  return [imageX * viewport.scale + viewport.x, imageY * viewport.scale + viewport.y];
}

export function boxToScreen(viewport, box) {
  const { scale, x, y } = viewport;
  return [box[0] * scale + x, box[1] * scale + y, box[2] * scale + x, box[3] * scale + y];
}

/** The part of the image in view, [x1, y1, x2, y2] image px; shapes outside it need no drawing. */
export function visibleBox(viewport, view) {
  const [x1, y1] = toImage(viewport, 0, 0);
  const [x2, y2] = toImage(viewport, view.width, view.height);
  return [x1, y1, x2, y2];
}
