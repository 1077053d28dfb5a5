/** Where images come from: a folder, files dropped here, or the examples, one click each. Also the page's empty state. */

import { progressText, watched } from "./jobs.mjs";

const IMAGE_NAME = /\.(jpe?g|png|webp|bmp|tiff?|gif)$/i;

export class Welcome {
  #busy = false;

  /**
   * @param onDataset (id) when images have come in and are to be shown
   * @param onExample (datasetId, imageId, example) when an example is to be opened and asked
   */
  constructor({ part, api, examples, onDataset, onExample, onClose }) {
    Object.assign(this, { api, examples, onDataset, onExample });
    this.node = part("welcome");
    this.path = part("open-path");
    this.name = part("open-name");
    this.drop = part("drop-zone");
    this.dropTarget = part("drop-target");
    this.files = part("open-files");
    this.line = part("welcome-line");
    this.bar = part("welcome-bar");
    this.tries = part("tries");
    this.cards = part("examples");
    this.close = part("welcome-close");
    part("open-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#run(() => this.#importPath());
    });
    this.path.addEventListener("input", () => { if (!this.name.dataset.typed) this.name.value = nameOf(this.path.value); });
    this.name.addEventListener("input", () => { this.name.dataset.typed = this.name.value ? "yes" : ""; });
    part("open-examples").addEventListener("click", () => this.#run(() => this.#openExamples()));
    this.drop.addEventListener("click", () => this.files.click());
    this.files.addEventListener("change", () => this.#take([...this.files.files]));
    this.close.addEventListener("click", onClose);
    this.node.addEventListener("keydown", (event) => { if (event.key === "Escape" && !this.close.hidden) onClose(); });
    this.#listenForDrops();
  }

  /** @param datasets the ones there are: with none, this is the page and can't be closed. */
  show(datasets, current) {
    this.datasets = datasets;
    this.node.hidden = false;
    this.close.hidden = datasets.length === 0;
    this.name.value = "";
    this.name.dataset.typed = "";
    this.path.value = "";
    this.dropName = current?.name ?? "my images";
    this.dropTarget.textContent = current ? `they go into “${current.name}”` : "or click to choose them";
    this.#say("");
    this.#drawExamples();
    this.path.focus({ preventScroll: true });
  }

  hide() {
    this.node.hidden = true;
  }

  get shown() {
    return !this.node.hidden;
  }

  #listenForDrops() {
    const over = (event) => {
      event.preventDefault();
      this.drop.classList.add("gw-drop-over");
    };
    this.drop.addEventListener("dragenter", over);
    this.drop.addEventListener("dragover", over);
    this.drop.addEventListener("dragleave", () => this.drop.classList.remove("gw-drop-over"));
    this.drop.addEventListener("drop", (event) => {
      event.preventDefault();
      this.drop.classList.remove("gw-drop-over");
      this.#take([...event.dataTransfer.files]);
    });
  }

  #take(files) {
    this.files.value = "";
    if (files.length) this.#run(() => this.#upload(files));
  }

  async #run(work) {
    if (this.#busy) return;
    this.#busy = true;
    this.node.classList.add("gw-welcome-busy");
    try {
      await work();
    } catch (error) {
      this.#say(error.message, "error");
    } finally {
      this.#busy = false;
      this.node.classList.remove("gw-welcome-busy");
      this.bar.hidden = true;
    }
  }

  async #importPath() {
    const path = this.path.value.trim();
    if (!path) return this.#say("Type the folder's path first, for example /home/me/photos.", "error");
    const name = this.name.value.trim() || nameOf(path);
    this.#say("Reading the folder…");
    const { job } = await this.api.importPath(name, path);
    let last = null;
    for await (const state of watched(this.api, job)) {
      last = state;
      this.#progress(state);
    }
    if (last.state === "failed") throw new Error(last.error || "The import failed. See the terminal Groundwork runs in.");
    const made = last.result?.dataset_id ?? (await this.api.datasets()).find((dataset) => dataset.name === name)?.id;
    if (made === undefined) throw new Error("No image was found in that folder.");
    this.onDataset(made, leftOut((last.skipped ?? []).map(({ what, reason }) => `${what}: ${reason}`)));
  }

  async #upload(files) {
    const images = files.filter((file) => IMAGE_NAME.test(file.name));
    if (!images.length) throw new Error("These are no images. Groundwork reads JPEG, PNG, WebP, BMP, TIFF and GIF.");
    const datasetId = await this.#uploadTarget();
    const refused = [];
    for (const [index, file] of images.entries()) {
      this.#progress({ state: "running", done: index, total: images.length, seconds_left: null });
      try {
        await this.api.upload(datasetId, file);
      } catch (error) {
        if (!error.final) throw error;
        refused.push(`${file.name}: ${error.message}`);
      }
    }
    if (refused.length === images.length) throw new Error(refused[0]);
    this.onDataset(datasetId, leftOut(refused));
  }

  async #uploadTarget() {
    const name = this.name.value.trim() || this.dropName;
    const known = this.datasets.find((dataset) => dataset.name === name);
    if (known) return known.id;
    return (await this.api.createDataset(name)).dataset_id;
  }

  async #drawExamples() {
    const list = await this.examples.load();
    this.tries.hidden = list.length === 0;
    if (list.length && !this.cards.childElementCount) {
      this.examples.draw(this.cards, (example) => this.#run(() => this.#openExamples(example)));
    }
  }

  async #openExamples(example = null) {
    this.#say("Opening the examples…");
    const { dataset_id: id, image_ids: images } = await this.api.examples();
    const imageId = example && images[example.file];
    if (imageId) await this.onExample(id, imageId, example);
    else await this.onDataset(id);
  }

  #progress(job) {
    this.bar.hidden = false;
    this.bar.classList.toggle("gw-bar-waiting", !job.done);
    this.bar.style.setProperty("--gw-fill", `${job.total ? (100 * job.done) / job.total : 0}%`);
    this.#say(progressText(job));
  }

  #say(text, kind = "") {
    this.line.textContent = text;
    this.line.dataset.kind = kind;
  }
}

/** One line about files that did not come in, or "". */
export function leftOut(reasons) {
  return reasons.length ? `${reasons.length} left out. ${reasons[0]}` : "";
}

/** "/data/my cats/" -> "my cats" */
export function nameOf(path) {
  return path.trim().split(/[\\/]+/).filter(Boolean).at(-1) ?? "";
}
