/**
 * Drawing on two stacked canvases. Base: picture, masks, all shapes, colour by colour. Overlay: what
 * moves with the pointer. Dragging one shape therefore never redraws the other two thousand.
 *
 * Boxes are drawn by strokeRect on whole pixels, not as one path: without a GPU a path of 2,000 rectangles
 * takes 85 ms, 2,000 strokeRect calls take 2 ms. Dashes are a striped pattern for the same reason.
 */

import { withAlpha } from "./colour.mjs";
import { handlePoints } from "./geometry.mjs";
import { boxToScreen, toScreen, visibleBox } from "./viewport.mjs";

const FONT = '600 11px system-ui, -apple-system, "Segoe UI", Roboto, sans-serif';
const LABEL_HEIGHT_PX = 16;
const LABEL_LEAST_WIDTH_PX = 30; // a label on a smaller box hides what it names
const CROWDED_LEAST_WIDTH_PX = 120;
const MOST_LABELS = 150; // more can't be read; then only large boxes have theirs, until one zooms in
const DASH_PX = 6;
const GAP_PX = 4;
const HALO = "rgba(0, 0, 0, 0.4)"; // keeps every colour visible on every picture
const MOST_HALOED = 800; // more halos would only darken it
const HANDLE_PX = 8;
const PIXELATED_FROM = 3; // zoom at which single pixels are what one wants to see

export class Renderer {
  #textWidths = new Map();
  #stripes = new Map(); // colour -> CanvasPattern

  constructor(base, over) {
    this.base = base.getContext("2d");
    this.over = over.getContext("2d");
    this.view = { width: 1, height: 1, dpr: 1 };
  }

  resize(width, height, dpr) {
    if (dpr !== this.view.dpr) this.#stripes.clear();
    this.view = { width, height, dpr };
    for (const context of [this.base, this.over]) {
      context.canvas.width = Math.round(width * dpr);
      context.canvas.height = Math.round(height * dpr);
    }
  }

  drawBase({ viewport, image, bitmap, maskCanvas, scene, labels }) {
    const context = this.#cleared(this.base);
    if (!image) return;
    if (bitmap) {
      context.imageSmoothingEnabled = viewport.scale * this.view.dpr < PIXELATED_FROM;
      context.imageSmoothingQuality = "high";
      this.#drawPicture(context, bitmap, viewport, image);
    }
    if (maskCanvas) {
      context.imageSmoothingEnabled = true;
      this.#drawPicture(context, maskCanvas, viewport, image);
    }
    this.#drawGroups(context, scene, viewport);
    if (labels) this.#drawLabels(context, scene.labels, viewport);
  }

  /**
   * @param selected {box, color, predicted, handles} or null; @param hover {box, color} or null
   * @param draft {box, color, maskCanvas, points: [{x, y, label}]} or null
   * @param crosshair screen [x, y] or null
   */
  drawOverlay({ viewport, image, selected, hover, draft, crosshair }) {
    const context = this.#cleared(this.over);
    if (!image) return;
    if (crosshair) this.#drawCrosshair(context, crosshair);
    if (hover) this.#strokeBox(context, boxToScreen(viewport, hover.box), hover.color, 2.5, hover.predicted);
    if (selected) this.#drawSelected(context, selected, viewport);
    if (draft?.maskCanvas) this.#drawPicture(context, draft.maskCanvas, viewport, image);
    if (draft?.box) this.#drawDraftBox(context, draft, viewport);
    for (const point of draft?.points ?? []) this.#drawPoint(context, point, viewport);
  }

  #cleared(context) {
    const { width, height, dpr } = this.view;
    context.setTransform(dpr, 0, 0, dpr, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = FONT;
    context.textBaseline = "middle";
    return context;
  }

  /** Only the part in view is handed over: at high zoom the whole picture would be gigapixels. */
  #drawPicture(context, source, viewport, image) {
    const [x1, y1, x2, y2] = visibleBox(viewport, this.view);
    const left = Math.max(Math.floor(x1), 0);
    const top = Math.max(Math.floor(y1), 0);
    const right = Math.min(Math.ceil(x2), image.width);
    const bottom = Math.min(Math.ceil(y2), image.height);
    if (right <= left || bottom <= top) return;
    const [kx, ky] = [source.width / image.width, source.height / image.height];
    const [sx, sy] = toScreen(viewport, left, top);
    const [w, h] = [(right - left) * viewport.scale, (bottom - top) * viewport.scale];
    context.drawImage(source, left * kx, top * ky, (right - left) * kx, (bottom - top) * ky, sx, sy, w, h);
  }

  #drawGroups(context, scene, viewport) {
    const groups = scene.groups.map(({ color, solid, dashed }) => ({
      color, solid: this.#frames(solid, viewport), dashed: this.#frames(dashed, viewport),
    }));
    for (const { color, solid, dashed } of groups) {
      if (scene.labels.length <= MOST_HALOED) strokeFrames(context, [...solid, ...dashed], HALO, 4);
      strokeFrames(context, solid, color, 2);
      strokeFrames(context, dashed, this.#striped(context, color, viewport), 2);
    }
  }

  /** [x, y, width, height, ...] on screen of the boxes in view, on whole pixels of the screen. */
  #frames(boxes, { scale, x, y }) {
    const seen = visibleBox({ scale, x, y }, this.view);
    const { dpr } = this.view;
    const snap = (value) => Math.round(value * dpr) / dpr;
    const frames = [];
    for (const box of boxes) {
      if (box[2] < seen[0] || box[3] < seen[1] || box[0] > seen[2] || box[1] > seen[3]) continue;
      const [left, top] = [snap(box[0] * scale + x), snap(box[1] * scale + y)];
      frames.push(left, top, snap(box[2] * scale + x) - left, snap(box[3] * scale + y) - top);
    }
    return frames;
  }

  /** Diagonal stripes, which look like dashes on a thin line; they move along with the picture. */
  #striped(context, color, viewport) {
    const { dpr } = this.view;
    if (!this.#stripes.has(color)) this.#stripes.set(color, context.createPattern(stripedTile(color, dpr), "repeat"));
    const pattern = this.#stripes.get(color);
    pattern.setTransform(new DOMMatrix([1 / dpr, 0, 0, 1 / dpr, Math.round(viewport.x), Math.round(viewport.y)]));
    return pattern;
  }

  #drawLabels(context, labels, viewport) {
    const { width, height } = this.view;
    const wanted = [];
    for (const label of labels) {
      const screen = boxToScreen(viewport, label.box);
      if (screen[2] - screen[0] < LABEL_LEAST_WIDTH_PX) continue;
      if (screen[2] < 0 || screen[3] < 0 || screen[0] > width || screen[1] > height) continue;
      wanted.push({ label, screen });
    }
    const least = wanted.length > MOST_LABELS ? CROWDED_LEAST_WIDTH_PX : 0;
    const drawn = wanted.filter(({ screen }) => screen[2] - screen[0] >= least);
    // Predictions come best first; drawn last, the best one's label is the one that can be read.
    for (const { label, screen } of drawn.slice(0, MOST_LABELS).reverse()) this.#drawLabel(context, label, screen);
  }

  #drawLabel(context, { text, color, ink, predicted }, screen) {
    const wide = this.#textWidth(context, text) + 10;
    const x = screen[0] - 1;
    const y = screen[1] >= LABEL_HEIGHT_PX ? screen[1] - LABEL_HEIGHT_PX : Math.max(screen[1], 0);
    context.globalAlpha = predicted ? 0.86 : 1;
    context.fillStyle = color;
    context.fillRect(x, y, wide, LABEL_HEIGHT_PX);
    context.globalAlpha = 1;
    context.fillStyle = ink;
    context.fillText(text, x + 5, y + LABEL_HEIGHT_PX / 2 + 0.5);
  }

  #textWidth(context, text) {
    let wide = this.#textWidths.get(text);
    if (wide === undefined) {
      if (this.#textWidths.size > 5000) this.#textWidths.clear();
      wide = Math.ceil(context.measureText(text).width);
      this.#textWidths.set(text, wide);
    }
    return wide;
  }

  #strokeBox(context, [x1, y1, x2, y2], color, wide, dashed) {
    context.beginPath();
    context.rect(x1, y1, x2 - x1, y2 - y1);
    stroke(context, "rgba(255, 255, 255, 0.85)", wide + 2);
    if (dashed) context.setLineDash([6, 4]);
    stroke(context, color, wide);
    context.setLineDash([]);
  }

  #drawSelected(context, { box, color, predicted, label }, viewport) {
    const screen = boxToScreen(viewport, box);
    context.fillStyle = withAlpha(color, 0.12);
    context.fillRect(screen[0], screen[1], screen[2] - screen[0], screen[3] - screen[1]);
    this.#strokeBox(context, screen, color, 2.5, predicted);
    if (label) this.#drawLabel(context, label, screen);
    for (const [x, y] of Object.values(handlePoints(screen))) {
      context.fillStyle = "#ffffff";
      context.fillRect(x - HANDLE_PX / 2, y - HANDLE_PX / 2, HANDLE_PX, HANDLE_PX);
      context.strokeStyle = "rgba(0, 0, 0, 0.75)";
      context.lineWidth = 1;
      context.strokeRect(x - HANDLE_PX / 2 + 0.5, y - HANDLE_PX / 2 + 0.5, HANDLE_PX - 1, HANDLE_PX - 1);
    }
  }

  #drawDraftBox(context, { box, color, sized }, viewport) {
    const screen = boxToScreen(viewport, box);
    context.fillStyle = withAlpha(color, 0.14);
    context.fillRect(screen[0], screen[1], screen[2] - screen[0], screen[3] - screen[1]);
    this.#strokeBox(context, screen, color, 2, false);
    if (!sized) return;
    const text = `${Math.round(box[2] - box[0])} × ${Math.round(box[3] - box[1])}`;
    const below = [screen[0] + 1, screen[3] + LABEL_HEIGHT_PX + 4];
    this.#drawLabel(context, { text, color: "rgba(12, 14, 17, 0.82)", ink: "#ffffff" }, below);
  }

  #drawCrosshair(context, [x, y]) {
    const { width, height } = this.view;
    context.beginPath();
    context.moveTo(0, Math.round(y) + 0.5);
    context.lineTo(width, Math.round(y) + 0.5);
    context.moveTo(Math.round(x) + 0.5, 0);
    context.lineTo(Math.round(x) + 0.5, height);
    stroke(context, "rgba(0, 0, 0, 0.35)", 1);
    context.setLineDash([4, 4]);
    stroke(context, "rgba(255, 255, 255, 0.8)", 1);
    context.setLineDash([]);
  }

  #drawPoint(context, { x, y, label }, viewport) {
    const [sx, sy] = toScreen(viewport, x, y);
    context.beginPath();
    context.arc(sx, sy, 5.5, 0, 2 * Math.PI);
    context.fillStyle = label ? "#12a150" : "#d92d20";
    context.fill();
    stroke(context, "#ffffff", 2);
  }
}

function stroke(context, style, wide) {
  context.strokeStyle = style;
  context.lineWidth = wide;
  context.stroke();
}

function strokeFrames(context, frames, style, wide) {
  context.strokeStyle = style;
  context.lineWidth = wide;
  for (let at = 0; at < frames.length; at += 4) context.strokeRect(frames[at], frames[at + 1], frames[at + 2], frames[at + 3]);
}

function stripedTile(color, dpr) {
  const period = Math.round((DASH_PX + GAP_PX) * dpr);
  const tile = document.createElement("canvas");
  tile.width = period;
  tile.height = period;
  const context = tile.getContext("2d");
  context.fillStyle = color;
  for (let x = 0; x < period; x++) {
    for (let y = 0; y < period; y++) {
      if ((x + y) % period < DASH_PX * dpr) context.fillRect(x, y, 1, 1);
    }
  }
  return tile;
}
