/**
 * The image that is open: its shapes as the server has them, with the unsent edits laid over.
 * A token guards every answer, so that a late one never shows on another image. Knows no DOM.
 */

import { newId } from "./ids.mjs";
import * as shapes from "./shapes.mjs";

export class Session {
  #token = 0;
  #abort = null;
  #since = []; // edits that an answer on its way may lack: unsent when it was asked for, or made since

  constructor({ api, outbox, onChange = () => {}, makeId = newId }) {
    this.api = api;
    this.outbox = outbox;
    this.onChange = onChange;
    this.makeId = makeId;
    this.#reset(null, "empty");
  }

  get ready() {
    return this.status === "ready";
  }

  close() {
    this.#token++;
    this.#abort?.abort();
    this.#reset(null, "empty");
    this.onChange("image");
  }

  /** Show another image. Resolves when its shapes are here, or when a newer `open` overtook this one. */
  async open(imageId) {
    this.#abort?.abort();
    this.#reset(imageId, "loading");
    this.onChange("image");
    await this.#load(++this.#token);
  }

  /** Fetch the shapes of the same image again: after undo, after new predictions, after a refusal. */
  async refresh() {
    if (this.imageId === null) return;
    this.#abort?.abort();
    await this.#load(++this.#token);
  }

  /** Show the edits at once and send them. Does nothing until the shapes of the image are here. */
  commit(edits) {
    if (!this.ready) return;
    for (const edit of edits) {
      this.state = shapes.applied(this.state, edit);
      if (edit.kind !== "undo" && edit.kind !== "redo") {
        this.canUndo = true;
        this.canRedo = false;
      }
      this.#since.push(edit);
      this.outbox.add(this.imageId, { op_id: this.makeId(), kind: edit.kind, items: edit.items });
    }
    if (edits.length) this.onChange("shapes");
  }

  undo() {
    if (this.canUndo) this.commit([{ kind: "undo", items: [] }]);
  }

  redo() {
    if (this.canRedo) this.commit([{ kind: "redo", items: [] }]);
  }

  /**
   * The outbox's news about an edit that has left it. Undo and redo happen on the server: look again.
   *
   * @param differs the server refused the edit or some items of it, so what is shown here is not what it has
   */
  left(imageId, edit, differs) {
    const looksAgain = differs || edit.kind === "undo" || edit.kind === "redo";
    if (looksAgain && imageId === this.imageId) this.refresh();
  }

  /** Categories changed (added, renamed, recoloured): the shapes stay as they are. */
  setCategories(categories) {
    this.state = { ...this.state, categories };
    this.onChange("categories");
  }

  async #load(token) {
    this.#abort = new AbortController();
    this.#since = this.outbox.pending(this.imageId);
    try {
      const reply = await this.api.shapes(this.imageId, this.#abort.signal);
      if (token !== this.#token) return;
      this.state = shapes.rebased(shapes.fromReply(reply), this.#since);
      this.canUndo = reply.can_undo || this.#since.length > 0;
      this.canRedo = reply.can_redo && this.#since.length === 0;
      this.#since = [];
      this.status = "ready";
      this.error = null;
      this.onChange("shapes");
    } catch (error) {
      if (token !== this.#token || error.name === "AbortError") return;
      if (!this.ready) this.status = "failed";
      this.error = error;
      this.onChange("failed");
    }
  }

  #reset(imageId, status) {
    this.imageId = imageId;
    this.status = status;
    this.error = null;
    this.canUndo = false;
    this.canRedo = false;
    this.state = { ...shapes.EMPTY, categories: this.state?.categories ?? [] };
  }
}
