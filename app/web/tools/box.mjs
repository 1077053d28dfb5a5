/** Draw boxes. A click without a drag selects; the handles of the selection stay in reach. */

import { clipped, handleAt, hasArea, spanned } from "../geometry.mjs";
import { SelectTool } from "./select.mjs";

const LEAST_PX = 4; // a shorter drag on screen is a click
const REACH_PX = 7;

export class BoxTool {
  name = "box";
  crosshair = true;
  #from = null;
  #box = null;

  constructor(desk) {
    this.desk = desk;
    this.reshaping = new SelectTool(desk);
    this.isReshaping = false;
  }

  down(at) {
    const { selected, scale } = this.desk;
    this.isReshaping = Boolean(selected && handleAt(selected.xyxy, at.x, at.y, REACH_PX / scale));
    if (this.isReshaping) this.reshaping.down(at);
    else if (this.desk.drawingCategory()) this.#from = at;
  }

  move(at) {
    if (this.isReshaping) this.reshaping.move(at);
    if (!this.#from) return;
    const { width, height } = this.desk.image;
    this.#box = clipped(spanned(this.#from.x, this.#from.y, at.x, at.y), width, height);
    this.desk.redrawOverlay();
  }

  up(at) {
    if (this.isReshaping) {
      this.isReshaping = false;
      this.reshaping.up(at);
      return;
    }
    const [from, box] = [this.#from, this.#box];
    this.cancel();
    if (!from) return;
    const drawn = box && Math.max(Math.abs(at.sx - from.sx), Math.abs(at.sy - from.sy)) >= LEAST_PX;
    if (drawn && hasArea(box)) this.desk.actions.create(box);
    else this.desk.select(this.desk.hit(at.x, at.y)?.key ?? null);
  }

  cancel() {
    const busy = this.#from !== null || this.isReshaping;
    this.#from = null;
    this.#box = null;
    if (this.isReshaping) this.reshaping.cancel();
    this.isReshaping = false;
    if (busy) this.desk.redrawOverlay();
    return busy;
  }

  get draft() {
    if (this.isReshaping) return this.reshaping.draft;
    return this.#box && { box: this.#box, color: this.desk.drawingColour(), sized: true };
  }

  cursor(at) {
    const { selected, scale } = this.desk;
    const onHandle = selected && handleAt(selected.xyxy, at.x, at.y, REACH_PX / scale);
    return onHandle || this.isReshaping ? this.reshaping.cursor(at) : "crosshair";
  }
}
