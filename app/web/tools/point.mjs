/**
 * Click on an object, get its mask. More clicks add to it, Shift- or Alt-clicks take away; Enter keeps it.
 * Only the answer to the latest click is shown.
 */

import { clipped } from "../geometry.mjs";
import { boxOf } from "../rle.mjs";

export class PointTool {
  name = "point";
  #points = []; // {x, y, label: 1 | 0}
  #mask = null;
  #canvas = null;
  #request = null;

  constructor(desk) {
    this.desk = desk;
  }

  down(at, event) {
    const { width, height } = this.desk.image;
    if (at.x < 0 || at.y < 0 || at.x >= width || at.y >= height) return;
    if (!this.desk.drawingCategory()) return;
    const away = event.shiftKey || event.altKey || event.button === 2;
    if (away && this.#points.length === 0) return;
    this.#points.push({ x: at.x, y: at.y, label: away ? 0 : 1 });
    this.desk.redrawOverlay();
    this.#segment();
  }

  move() {}

  up() {}

  async #segment() {
    this.#request?.abort();
    const request = new AbortController();
    this.#request = request;
    const asked = {
      boxes: null,
      points: this.#points.map(({ x, y }) => [x, y]),
      labels: this.#points.map(({ label }) => label),
    };
    this.desk.say("Finding the outline…", "busy");
    try {
      const { masks } = await this.desk.segment(asked, request.signal);
      if (this.#request !== request) return;
      this.#show(masks[0] ?? null);
    } catch (error) {
      if (this.#request !== request) return;
      this.#points.pop();
      this.desk.redrawOverlay();
      this.desk.say(error.message, "error");
    }
  }

  #show(mask) {
    const empty = !mask || boxOf(mask) === null;
    this.#mask = empty ? null : mask;
    this.#canvas = empty ? null : this.desk.paintedMask(mask, this.desk.drawingColour());
    this.desk.redrawOverlay();
    this.desk.say(
      empty ? "Nothing found there. Click nearer to the middle of the object." : "Enter keeps it · click adds · Shift-click removes · Esc drops it",
      "info",
    );
  }

  /** Enter: the mask becomes an annotation. False when there is none to keep. */
  keep() {
    if (!this.#mask) return false;
    const { width, height } = this.desk.image;
    const [mask, box] = [this.#mask, clipped(boxOf(this.#mask), width, height)];
    this.cancel();
    this.desk.actions.create(box, mask);
    return true;
  }

  cancel() {
    const busy = this.#points.length > 0;
    this.#request?.abort();
    this.#request = null;
    this.#points = [];
    this.#mask = null;
    this.#canvas = null;
    if (busy) {
      this.desk.say("");
      this.desk.redrawOverlay();
    }
    return busy;
  }

  get draft() {
    if (!this.#points.length) return null;
    return { box: null, maskCanvas: this.#canvas, points: this.#points, color: this.desk.drawingColour() };
  }

  cursor() {
    return "crosshair";
  }
}
