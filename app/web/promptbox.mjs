/** The prompt: what to find, on this image or on all, and how far a running search has come. */

import { counted } from "./actions.mjs";
import { enable } from "./dom.mjs";
import { offered } from "./examples.mjs";
import { progressText, watched } from "./jobs.mjs";
import { WAYS, beforeText, foundText, knownTask } from "./ways.mjs";
import { WaySwitch } from "./wayswitch.mjs";
import { leftOut } from "./welcome.mjs";

export class PromptBox {
  #job = null; // id of the search that is running

  /**
   * @param settings its `confidence` says below which score nothing is shown
   * @param shown () {shown, below} the confidence: how many predictions the open image has
   * @param example () the example that the open image is, or null
   * @param onFound (imageIds: Set) each time more images have been searched; resolves when they are shown
   * @param onCategories () when the prompt may have made new categories
   * @param onLeave () when the person wants back to the picture
   */
  constructor({ part, api, session, settings, memory, say, shown, example, onFound, onCategories, onLeave }) {
    Object.assign(this, { api, session, settings, memory, say, shown, example, onFound, onCategories, onLeave });
    this.ways = new WaySwitch({ part, onChoose: (task) => this.#chosen(task) });
    this.prompt = part("prompt");
    this.here = part("detect");
    this.all = part("detect-all");
    this.masks = part("detect-masks");
    this.tiles = part("detect-tiles");
    this.hint = part("prompt-hint");
    this.key = part("prompt-key");
    this.offer = part("try-example");
    this.progress = part("detect-progress");
    this.bar = part("detect-bar");
    this.text = part("detect-text");
    this.stopButton = part("detect-stop");
    this.prompt.addEventListener("input", () => this.#typed());
    this.prompt.addEventListener("keydown", (event) => this.#key(event));
    this.here.addEventListener("click", () => this.detect([this.session.imageId]));
    this.offer.addEventListener("click", () => this.ask(this.example()));
    this.all.addEventListener("click", (event) => this.detect("all", event.shiftKey));
    this.masks.addEventListener("change", () => memory.write("detectMasks", this.masks.checked));
    this.tiles.addEventListener("change", () => memory.write("detectTiles", this.tiles.checked));
    this.stopButton.addEventListener("click", () => this.#stop());
    this.masks.checked = memory.read("detectMasks", false);
    this.tiles.checked = memory.read("detectTiles", false);
    this.refresh();
  }

  /** A dataset's prompt is what was typed here last, else what the server last searched it for. */
  openDataset(dataset) {
    this.dataset = dataset;
    this.#job = null;
    this.progress.hidden = true;
    this.prompt.value = dataset ? this.memory.read(`prompt.${dataset.id}`) ?? dataset.prompt ?? "" : "";
    this.#show(dataset ? this.memory.read(`task.${dataset.id}`) : null);
    const running = dataset && this.memory.read(`job.${dataset.id}`);
    if (running) this.#watch(running, dataset.id, { resumed: true });
  }

  get asked() {
    return { task: this.ways.task, prompt: this.prompt.value.trim() };
  }

  /** Ask this of the open image, as if it had been typed. */
  ask({ task, prompt }) {
    this.prompt.value = prompt;
    this.#typed();
    this.#chosen(task);
    if (this.here.disabled) this.say(this.here.title, "info");
    else this.detect([this.session.imageId]);
  }

  #chosen(task) {
    if (this.dataset) this.memory.write(`task.${this.dataset.id}`, task);
    this.#show(task);
  }

  #show(task) {
    const known = knownTask(task);
    this.ways.show(known);
    this.prompt.placeholder = WAYS[known].placeholder;
    this.refresh();
  }

  /** The same dataset with other counts. */
  setDataset(dataset) {
    this.dataset = dataset;
    this.refresh();
  }

  refresh() {
    const reason = this.#reason();
    enable(this.here, !reason && this.session.imageId !== null, reason || "Open an image first");
    enable(this.all, !reason && Boolean(this.dataset?.images), reason || "This dataset has no images");
    this.key.textContent = this.#job || !this.prompt.value.trim() ? "" : "Enter to detect";
    this.#drawOffer();
  }

  /** Below the prompt: the open example's own question, or else what may be typed. */
  #drawOffer() {
    const example = offered(this.example(), this.asked);
    this.offer.hidden = !example;
    this.hint.hidden = Boolean(example);
    this.hint.textContent = WAYS[this.ways.task].hint;
    if (!example) return;
    this.offer.textContent = `Try: ${example.prompt}`;
    enable(this.offer, !this.#job && this.session.imageId !== null, "A search is running. Stop it, or wait for it.");
    if (!this.offer.disabled) this.offer.title = `${WAYS[example.task].name}: ${example.prompt}`;
  }

  #reason() {
    if (!this.dataset) return "Open images first";
    if (this.#job) return "A search is running. Stop it, or wait for it.";
    return /[\p{L}\p{N}]/u.test(this.prompt.value) ? "" : WAYS[this.ways.task].empty;
  }

  #typed() {
    if (this.dataset) this.memory.write(`prompt.${this.dataset.id}`, this.prompt.value);
    this.refresh();
  }

  #key(event) {
    if (event.key === "Escape") this.onLeave();
    if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
    event.preventDefault();
    if (!this.here.disabled) this.detect([this.session.imageId]);
  }

  /** @param again also where this very question was answered before; images that are named are always asked */
  async detect(imageIds, again = false) {
    const { dataset, asked } = this;
    this.#job = "asked"; // the buttons are off until the answer is here: no search is started twice
    this.#showProgress({ state: "queued", done: 0, total: 0 });
    try {
      const request = { ...asked, image_ids: imageIds, masks: this.masks.checked, tiles: this.tiles.checked, ...(again && { again }) };
      const { job } = await this.api.detect(dataset.id, request);
      this.memory.write(`job.${dataset.id}`, job);
      if (this.dataset?.id === dataset.id) await this.#watch(job, dataset.id, { asked }); // else it shows on the way back there
    } catch (error) {
      if (this.dataset?.id === dataset.id) this.#finish(dataset.id);
      this.say(error.message, "error");
    }
  }

  async #watch(id, datasetId, { asked = null, resumed = false }) {
    this.#job = id;
    this.refresh();
    const seen = new Set();
    let last = null;
    try {
      for await (const job of watched(this.api, id)) {
        if (this.#job !== id) return; // another dataset is shown: its search goes on without us
        const fresh = new Set((job.images ?? []).filter((imageId) => !seen.has(imageId)));
        fresh.forEach((imageId) => seen.add(imageId));
        this.#showProgress(job);
        if (seen.size && !last) this.onCategories();
        if (fresh.size && !resumed) await this.onFound(fresh);
        last = job;
      }
      this.#finish(datasetId);
      if (resumed && seen.size) this.onFound(seen);
      this.onCategories();
      this.#report(last, asked, seen);
    } catch (error) {
      if (this.#job !== id) return;
      this.#finish(datasetId);
      if (!resumed) this.say(error.message, "error"); // a job of an earlier visit may be long forgotten
    }
  }

  /** @param asked null for a search of an earlier visit, which only tells what went wrong */
  #report(job, asked, seen) {
    if (job.state === "failed") this.say(job.error || "The search failed. See the terminal Groundwork runs in.", "error");
    else if (job.state === "stopped") this.say(`Stopped after ${counted(job.done, "image")}. What was found is kept.`, "info");
    else if (job.skipped?.length) this.say(leftOut(job.skipped.map(({ what, reason }) => `${what}: ${reason}`)), "error");
    else if (job.notes?.length) this.say(job.notes.join(" "), "advice");
    else if (!asked) return;
    else {
      const here = seen.size === 1 && seen.has(this.session.imageId) ? this.shown() : null;
      const found = foundText(job, asked, here, this.settings.confidence) + beforeText(job);
      const next = here?.shown && document.activeElement === this.prompt ? " Esc, then Tab goes through them." : "";
      if (knowsNoPhotos(job, this.dataset)) this.say(`${found} ${ONLY_DRAWN_THINGS}`, "advice");
      else this.say(found + next, here?.shown ? "info" : "advice");
    }
  }

  #showProgress(job) {
    this.progress.hidden = false;
    this.bar.classList.toggle("gw-bar-waiting", !job.done);
    this.bar.style.setProperty("--gw-fill", `${job.total ? (100 * job.done) / job.total : 0}%`);
    this.bar.setAttribute("aria-valuenow", String(job.done));
    this.bar.setAttribute("aria-valuemax", String(job.total || 1));
    this.text.textContent = progressText(job);
    this.refresh();
  }

  #finish(datasetId) {
    this.#job = null;
    this.memory.write(`job.${datasetId}`, null);
    this.progress.hidden = true;
    this.stopButton.disabled = false;
    this.refresh();
  }

  async #stop() {
    if (!this.#job || this.#job === "asked") return;
    this.stopButton.disabled = true;
    this.text.textContent = "Stopping…";
    try {
      await this.api.stopJob(this.#job);
    } catch (error) {
      this.stopButton.disabled = false;
      this.say(error.message, "error");
    }
  }
}

const ONLY_DRAWN_THINGS = "The starter knows drawn things, not photos: draw boxes and press Teach, or see Models.";

/** Was this the built-in detector at work on a person's own pictures? */
export function knowsNoPhotos(job, dataset) {
  return job.result?.detector === "starter" && dataset?.name !== "examples";
}
