/** Select, move and resize. A drag that starts on nothing moves the picture. */

import { contains, handleAt, hasArea, moved, resized, sameBox } from "../geometry.mjs";

const REACH_PX = 8; // how near to a handle counts as on it, on screen
const STILL_PX = 3; // a hand trembles this much while it clicks

const CURSORS = { nw: "nwse-resize", se: "nwse-resize", ne: "nesw-resize", sw: "nesw-resize", n: "ns-resize", s: "ns-resize", e: "ew-resize", w: "ew-resize" };

export class SelectTool {
  name = "select";
  #drag = null; // {shape, handle, from: {x, y, sx, sy}, box, under}

  constructor(desk) {
    this.desk = desk;
  }

  down(at) {
    const { selected } = this.desk;
    const handle = this.#handleAt(at);
    const under = this.desk.hit(at.x, at.y);
    if (handle) {
      this.#drag = { shape: selected, handle, from: at, box: selected.xyxy, under: null };
    } else if (selected && contains(selected.xyxy, at.x, at.y)) {
      this.#drag = { shape: selected, handle: null, from: at, box: selected.xyxy, under: this.#nextUnder(at, selected) };
    } else if (under) {
      this.desk.select(under.key);
      this.#drag = { shape: under, handle: null, from: at, box: under.xyxy, under: null };
    } else {
      this.desk.select(null);
      this.desk.startPan(at);
    }
  }

  move(at) {
    const drag = this.#drag;
    if (!drag) return;
    if (!drag.lifted && Math.hypot(at.sx - drag.from.sx, at.sy - drag.from.sy) < STILL_PX) return;
    if (!drag.lifted) this.desk.lift(drag.shape.key);
    drag.lifted = true;
    const { width, height } = this.desk.image;
    const [dx, dy] = [at.x - drag.from.x, at.y - drag.from.y];
    if (drag.handle) {
      const box = drag.shape.xyxy; // the grip keeps its distance from the pointer, so that nothing jumps
      const x = (drag.handle.includes("w") ? box[0] : box[2]) + dx;
      const y = (drag.handle.includes("n") ? box[1] : box[3]) + dy;
      drag.box = resized(box, drag.handle, x, y, width, height);
    } else {
      drag.box = moved(drag.shape.xyxy, dx, dy, width, height);
    }
    this.desk.redrawOverlay();
  }

  up() {
    const drag = this.#drag;
    this.#drag = null;
    if (!drag) return;
    this.desk.lift(null);
    if (!drag.lifted) {
      if (drag.under) this.desk.select(drag.under.key);
    } else if (hasArea(drag.box) && !sameBox(drag.box, drag.shape.xyxy)) {
      this.desk.actions.reshape(drag.shape, drag.box);
    }
  }

  cancel() {
    if (!this.#drag) return false;
    this.#drag = null;
    this.desk.lift(null);
    return true;
  }

  get draft() {
    const drag = this.#drag;
    return drag?.lifted ? { box: drag.box, color: this.desk.colourOf(drag.shape.category_id), sized: Boolean(drag.handle) } : null;
  }

  cursor(at) {
    if (this.#drag?.handle) return CURSORS[this.#drag.handle];
    const handle = this.#handleAt(at);
    if (handle) return CURSORS[handle];
    return this.desk.hit(at.x, at.y) ? "move" : "default";
  }

  #handleAt(at) {
    const { selected, scale } = this.desk;
    return selected ? handleAt(selected.xyxy, at.x, at.y, REACH_PX / scale) : null;
  }

  /** Clicking again on a stack of shapes goes down the stack. */
  #nextUnder(at, selected) {
    const stack = this.desk.hitAll(at.x, at.y);
    const next = stack[(stack.findIndex((shape) => shape.key === selected.key) + 1) % stack.length];
    return next && next.key !== selected.key ? next : null;
  }
}
