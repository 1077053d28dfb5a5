/** What the keys and the buttons do to the open image: one method per intention. */

import * as edits from "./edits.mjs";
import { newId } from "./ids.mjs";
import { boxOf } from "./rle.mjs";
import { annotationKey, neighbouringPrediction } from "./shapes.mjs";

export class Actions {
  /**
   * @param navigate (step) -> Promise: show the next (1) or previous (-1) image of the list
   * @param onChoose () when the category to draw with has changed
   */
  constructor({ session, desk, settings, navigate, say, onChoose }) {
    Object.assign(this, { session, desk, settings, navigate, say, onChoose });
  }

  // --- shapes --------------------------------------------------------------------------------------

  create(box, mask = null) {
    const id = newId();
    this.session.commit(edits.toCreate(this.settings.categoryId, box, mask, id));
    this.desk.select(annotationKey(id));
  }

  reshape(shape, box) {
    this.#changing(shape, (id) => edits.toReshape(shape, box, id));
  }

  relabel(shape, categoryId) {
    this.#changing(shape, (id) => edits.toRelabel(shape, categoryId, id));
  }

  nudge(dx, dy) {
    const shape = this.desk.selected;
    if (!shape || !this.session.ready) return;
    const { width, height } = this.desk.image;
    const [x1, y1, x2, y2] = shape.xyxy;
    const box = [x1 + dx, y1 + dy, x2 + dx, y2 + dy];
    if (box[0] >= 0 && box[1] >= 0 && box[2] <= width && box[3] <= height) this.reshape(shape, box);
  }

  /** A touched prediction becomes an annotation under a new id: the selection follows it. */
  #changing(shape, makeEdits) {
    const id = newId();
    this.session.commit(makeEdits(id));
    if (shape.kind === "prediction") this.desk.select(annotationKey(id));
  }

  makeMask() {
    return this.#outline((shape, mask, box, id) => edits.toMask(shape, mask, box, id));
  }

  /** The sides of the box move to the outline of what is in it; a shape with a mask fits already. */
  tighten() {
    if (this.desk.selected?.mask) return this.say("The box fits its mask.", "info");
    return this.#outline((shape, _, box, id) => edits.toReshape(shape, box, id));
  }

  /** Find the outline of what is in the selected box, and change the shape by it. */
  async #outline(makeEdits) {
    const shape = this.desk.selected;
    if (!shape) return;
    const { imageId } = this.session;
    this.say("Finding the outline…", "busy");
    try {
      const { masks } = await this.desk.segment({ boxes: [shape.xyxy], points: null, labels: null });
      if (this.session.imageId !== imageId) return;
      const box = masks[0] ? boxOf(masks[0]) : null;
      const current = this.desk.shapes.find((one) => one.key === shape.key);
      if (!box || !current) return this.say("No outline found in this box.", "info");
      this.#changing(current, (id) => makeEdits(current, masks[0], box, id));
      this.say("");
    } catch (error) {
      this.say(error.message, "error");
    }
  }

  // --- review --------------------------------------------------------------------------------------

  /** Enter: keep the mask in hand, else accept the selected prediction, else go to the next one. */
  accept() {
    if (this.desk.tool.keep?.()) return;
    const shape = this.desk.selected;
    if (shape?.kind !== "prediction") return this.nextPrediction(1);
    const next = neighbouringPrediction(this.desk.shapes, shape.key);
    const accepted = edits.toAccept([shape]);
    this.session.commit(accepted);
    this.desk.select(next ?? annotationKey(accepted[0].items[0].annotation_id), { reveal: true });
  }

  /** Backspace: reject the selected prediction or delete the selected annotation. */
  remove() {
    const shape = this.desk.selected;
    if (!shape) return;
    const next = shape.kind === "prediction" ? neighbouringPrediction(this.desk.shapes, shape.key) : null;
    this.session.commit(edits.toRemove(shape));
    this.desk.select(next, { reveal: true });
  }

  acceptAll() {
    const accepted = edits.toAccept(this.desk.shapes);
    if (!accepted.length) return this.say("No predictions are shown here. Lower the confidence to see more.", "info");
    this.session.commit(accepted);
    this.say(`Accepted ${counted(accepted[0].items.length, "prediction")}.`, "info");
  }

  nextPrediction(step = 1) {
    const key = neighbouringPrediction(this.desk.shapes, this.desk.selectedKey, step);
    if (key) this.desk.select(key, { reveal: true });
    return key !== null;
  }

  async done() {
    if (!this.session.ready) return;
    if (!this.session.state.image.done) this.session.commit(edits.toMark(true));
    const moved = await this.navigate(1);
    if (!moved) this.say("That was the last image of this list.", "info");
  }

  toggleDone() {
    if (this.session.ready) this.session.commit(edits.toMark(!this.session.state.image.done));
  }

  undo() {
    this.session.undo();
  }

  redo() {
    this.session.redo();
  }

  escape() {
    if (this.desk.tool.cancel()) return true;
    if (!this.desk.selectedKey) return false;
    this.desk.select(null);
    return true;
  }

  // --- categories ----------------------------------------------------------------------------------

  /** The category to draw with, or null with a line that says what is missing. */
  drawingCategory() {
    const { categories } = this.session.state;
    const known = categories.find((category) => category.id === this.settings.categoryId) ?? categories[0];
    if (!known) {
      this.say("Add a category first: type its name under Categories.", "error");
      return null;
    }
    this.settings.categoryId = known.id;
    return known;
  }

  /** A number key or a click in the palette: relabel the selection, and draw with it from now on. */
  choose(category) {
    this.settings.categoryId = category.id;
    if (this.desk.selected) this.relabel(this.desk.selected, category.id);
    this.onChoose();
    this.desk.redrawOverlay();
  }

  chooseNumber(number) {
    const category = this.session.state.categories[number - 1];
    if (category) this.choose(category);
  }
}

export function counted(number, noun, plural = `${noun}s`) {
  return `${number} ${number === 1 ? noun : plural}`;
}
