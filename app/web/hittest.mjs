/** Which shape is under a point: a coarse grid over the image, so that 2,000 shapes cost no search. */

import { area, contains } from "./geometry.mjs";

const CELLS_PER_SIDE = 32;

export class HitGrid {
  /** @param shapes rows with key and xyxy; @param image {width, height} px. */
  constructor(shapes, image) {
    this.cellWidth = Math.max(image.width / CELLS_PER_SIDE, 1);
    this.cellHeight = Math.max(image.height / CELLS_PER_SIDE, 1);
    this.cells = new Map();
    for (const shape of shapes) this.#insert(shape);
  }

  #insert(shape) {
    const [x1, y1, x2, y2] = shape.xyxy;
    for (let row = this.#row(y1); row <= this.#row(y2); row++) {
      for (let column = this.#column(x1); column <= this.#column(x2); column++) {
        const cell = row * CELLS_PER_SIDE + column;
        if (this.cells.has(cell)) this.cells.get(cell).push(shape);
        else this.cells.set(cell, [shape]);
      }
    }
  }

  /** Everything whose box, grown by `reach` px, holds the point; the smallest first. */
  all(x, y, reach = 0) {
    const found = new Set();
    for (let row = this.#row(y - reach); row <= this.#row(y + reach); row++) {
      for (let column = this.#column(x - reach); column <= this.#column(x + reach); column++) {
        for (const shape of this.cells.get(row * CELLS_PER_SIDE + column) ?? []) {
          if (contains(grown(shape.xyxy, reach), x, y)) found.add(shape);
        }
      }
    }
    return [...found].sort((a, b) => area(a.xyxy) - area(b.xyxy));
  }

  /** The smallest shape there, or null. Small boxes lie on big ones and must stay reachable. */
  top(x, y, reach = 0) {
    return this.all(x, y, reach)[0] ?? null;
  }

  #column(x) {
    return Math.min(Math.max(Math.floor(x / this.cellWidth), 0), CELLS_PER_SIDE - 1);
  }

  #row(y) {
    return Math.min(Math.max(Math.floor(y / this.cellHeight), 0), CELLS_PER_SIDE - 1);
  }
}

function grown(box, by) {
  return [box[0] - by, box[1] - by, box[2] + by, box[3] + by];
}
