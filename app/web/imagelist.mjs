/** The list of images on the left: only the rows in view exist, however long the list is. */

import { debounced, element } from "./dom.mjs";
import { Pages, rowsInView, stateOf } from "./pages.mjs";

const ROW_PX = 56;
const STATE_TEXT = { done: "done", review: "to review", labelled: "labelled", new: "new" };

export class ImageList {
  #drawn = new Map(); // row number -> {node, row}
  #datasetId = null;
  current = -1;

  /** @param onOpen (row, {previous, next}) when another image is to be shown; null when there is none. */
  constructor({ part, api, say, onOpen }) {
    Object.assign(this, { api, say, onOpen });
    this.list = part("image-list");
    this.space = part("image-rows");
    this.count = part("image-count");
    this.search = part("image-search");
    this.filter = part("image-filter");
    this.previousButton = part("prev");
    this.nextButton = part("next");
    this.pages = new Pages({
      fetchPage: (query) => api.images(this.#datasetId, query),
      onChange: () => this.#draw(),
      onError: (error) => say(error.message, "error"),
    });
    this.list.addEventListener("scroll", () => this.#draw(), { passive: true });
    this.list.addEventListener("keydown", (event) => {
      const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!by) return;
      event.preventDefault();
      this.step(by);
    });
    new ResizeObserver(() => this.#draw()).observe(this.list);
    this.search.addEventListener("input", debounced(() => this.restart(), 250));
    this.filter.addEventListener("change", () => this.restart());
    this.previousButton.addEventListener("click", () => this.step(-1));
    this.nextButton.addEventListener("click", () => this.step(1));
  }

  /** Show a dataset from its start, or from the image that was open last time. */
  async openDataset(id, imageId = null) {
    this.#datasetId = id;
    this.search.value = "";
    this.filter.value = "all";
    await this.restart(imageId);
  }

  async restart(imageId = null) {
    if (this.#datasetId === null) return;
    const datasetId = this.#datasetId;
    this.current = -1;
    this.list.scrollTop = 0;
    await this.pages.restart({ filter: this.filter.value, search: this.search.value.trim() });
    if (datasetId !== this.#datasetId) return;
    const known = imageId === null ? -1 : this.pages.indexOf(imageId);
    await this.open(Math.max(known, 0));
  }

  /** Is only a part of the dataset asked for? */
  get filtered() {
    return this.filter.value !== "all" || this.search.value.trim() !== "";
  }

  /** Open row `index`; false when there is none. */
  async open(index) {
    const row = await this.pages.row(index);
    if (!row) {
      if (this.pages.total === 0) this.onOpen(null);
      return false;
    }
    this.current = index;
    this.#reveal(index);
    this.#draw();
    this.onOpen(row, { next: this.pages.rows[index + 1] ?? null });
    return true;
  }

  step(by) {
    return this.open(this.current + by);
  }

  patch(imageId, fields) {
    this.pages.patch(imageId, fields);
  }

  /** Rows that a job has changed: fetch those in view again, in place. */
  async renew() {
    const { first, last } = this.#window();
    if (last >= first) await this.pages.renew(first, last);
  }

  #window() {
    return rowsInView(this.list.scrollTop, this.list.clientHeight, ROW_PX, this.pages.total ?? 0);
  }

  #reveal(index) {
    const [top, height] = [index * ROW_PX, this.list.clientHeight];
    this.space.style.height = `${(this.pages.total ?? 0) * ROW_PX}px`;
    if (top < this.list.scrollTop) this.list.scrollTop = top;
    else if (top + ROW_PX > this.list.scrollTop + height) this.list.scrollTop = top + ROW_PX - height;
  }

  #draw() {
    const { total } = this.pages;
    this.space.style.height = `${(total ?? 0) * ROW_PX}px`;
    this.space.dataset.empty = total === 0 ? (this.filtered ? "No image fits." : "No images yet.") : "";
    this.#drawCount(total);
    const { first, last } = this.#window();
    this.pages.need(first, last);
    for (const [index, drawn] of this.#drawn) {
      if (index < first || index > last || drawn.row !== this.pages.rows[index]) {
        drawn.node.remove();
        this.#drawn.delete(index);
      }
    }
    for (let index = first; index <= last; index++) {
      if (!this.#drawn.has(index)) this.#add(index);
      this.#drawn.get(index).node.setAttribute("aria-selected", String(index === this.current));
    }
  }

  #drawCount(total) {
    this.count.textContent = total === null ? "…" : total === 0 ? "0 images" : `${this.current + 1} of ${total.toLocaleString("en")}`;
    this.previousButton.disabled = this.current <= 0;
    this.nextButton.disabled = total === null || this.current >= total - 1;
  }

  #add(index) {
    const row = this.pages.rows[index];
    const node = row ? this.#rowNode(row) : element("div", { class: "gw-row gw-row-waiting" });
    node.style.transform = `translateY(${index * ROW_PX}px)`;
    node.addEventListener("click", () => this.open(index));
    this.space.append(node);
    this.#drawn.set(index, { node, row });
  }

  #rowNode(row) {
    const state = stateOf(row);
    const picture = element("img", { class: "gw-thumb", alt: "", src: this.api.thumbnailUrl(row.id), loading: "lazy", decoding: "async", draggable: "false" });
    picture.addEventListener("error", () => picture.classList.add("gw-thumb-broken"));
    const [start, end] = splitName(row.file_name);
    const name = element("span", { class: "gw-row-name" }, element("span", {}, start), element("span", {}, end));
    const detail = element("span", { class: "gw-row-detail" });
    detail.textContent = detailOf(row, state);
    const mark = element("span", { class: `gw-mark gw-mark-${state}`, "aria-hidden": "true" });
    const node = element(
      "div",
      { class: "gw-row", role: "option", "data-testid": "image-item", "data-image-id": row.id, "data-state": state, title: row.file_name },
      picture, element("span", { class: "gw-row-text" }, name, detail), mark,
    );
    node.setAttribute("aria-label", `${row.file_name}, ${detail.textContent}`);
    return node;
  }
}

/** The name in two parts; the first may be cut short on screen, as names of a series differ at their end. */
export function splitName(fileName) {
  const name = Array.from(fileName.split("/").at(-1));
  const at = Math.max(name.length - 9, 0);
  return [name.slice(0, at).join(""), name.slice(at).join("")];
}

export function detailOf(row, state) {
  if (state === "review") return `${row.pending} ${STATE_TEXT.review}`;
  if (state === "labelled" || (state === "done" && row.annotations)) return `${row.annotations} ${STATE_TEXT.labelled}${state === "done" ? " · done" : ""}`;
  return state === "done" ? "done, nothing on it" : STATE_TEXT.new;
}
