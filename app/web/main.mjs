/**
 * The stage: builds the parts on the constant template and joins them. `mount(element)` is all the page calls.
 */

import { Actions, counted } from "./actions.mjs";
import { makeApi } from "./api.mjs";
import { exposeDebug } from "./debug.mjs";
import { Desk } from "./desk.mjs";
import { enable, fillSelect, partsOf } from "./dom.mjs";
import { Examples } from "./examples.mjs";
import { Help } from "./help.mjs";
import { ImageList } from "./imagelist.mjs";
import { pause } from "./jobs.mjs";
import { keyName, shortcutFor, takesKey } from "./keys.mjs";
import { fillWindow, onReturn } from "./layout.mjs";
import { makeMemory } from "./memory.mjs";
import { openOpStore } from "./opstore.mjs";
import { Outbox } from "./outbox.mjs";
import { Palette } from "./palette.mjs";
import { Panel } from "./panel.mjs";
import { Pixels } from "./pixels.mjs";
import { PromptBox } from "./promptbox.mjs";
import { Session } from "./session.mjs";
import { Status } from "./status.mjs";
import { Welcome } from "./welcome.mjs";

const RETRY_MS = 3000;
const LEAF_MS = 40; // leafing through with a held key asks for the picture it stops at, not for every one
const ZOOM_STEP = 1.25;
const DEFAULT_CONFIDENCE = 0.4; // by measurement: see "threshold" in docs/log.md

/**
 * Bring the stage inside `host` to life. Safe to call twice: the second call does nothing.
 *
 * @param host the element that holds stage.html
 * @param options.api URL of the folder of the JSON routes; by default `api/` beside the folder of this module
 */
export function mount(host, options = {}) {
  const root = host.matches?.(".gw-stage") ? host : host.querySelector(".gw-stage");
  if (!root || root.dataset.mounted) return;
  root.dataset.mounted = "yes";
  new Stage(root, options.api ?? new URL("../api/", import.meta.url).href).start();
}

class Stage {
  #dataset = null;
  #datasets = [];
  #opened = 0; // counts images opened: a late picture must not show on another image
  #wholeOf = 0; // the opening for which every pixel of a very large picture was asked
  #tabLeaves = false; // after Esc, Tab leaves the picture as it does everywhere else

  constructor(root, apiBase) {
    this.root = root;
    const part = partsOf(root);
    this.part = part;
    this.memory = makeMemory(globalThis.localStorage ?? null);
    this.api = makeApi(apiBase);
    this.pixels = new Pixels(this.api);
    this.settings = {
      confidence: DEFAULT_CONFIDENCE, hidden: new Set(), masksShown: this.memory.read("masks", true),
      labelsShown: this.memory.read("labels", true), categoryId: null,
    };
    this.status = new Status({ part });
    const { say } = this.status;
    this.outbox = new Outbox({
      send: this.api.edit,
      onChange: () => this.status.showSaving(this.outbox),
      onSent: (imageId, edit, { skipped }) => {
        if (skipped) say(`${counted(skipped, "shape")} had changed meanwhile and stayed so.`, "info");
        this.session.left(imageId, edit, skipped > 0);
      },
      onRefused: (imageId, edit, error) => {
        say(error.message, "error");
        this.session.left(imageId, edit, true);
      },
    });
    this.session = new Session({ api: this.api, outbox: this.outbox, onChange: (what) => this.#sessionChanged(what) });
    const { api, session, settings } = this;
    this.desk = new Desk({
      base: part("canvas-base"), over: part("canvas"), session, settings, api, say,
      onView: () => this.#viewChanged(), onSelect: () => this.panel?.draw(),
    });
    this.actions = new Actions({
      session, desk: this.desk, settings, say,
      navigate: (step) => this.images.step(step), onChoose: () => this.#shownChanged(),
    });
    this.desk.actions = this.actions;
    this.panel = new Panel({ part, session, desk: this.desk, actions: this.actions });
    this.images = new ImageList({ part, api, say, onOpen: (row, around) => this.#openImage(row, around) });
    this.palette = new Palette({
      part, root, api, session, settings, say, actions: this.actions,
      onShown: () => this.#shownChanged(), onCategories: (categories) => session.setCategories(categories),
    });
    this.examples = new Examples({ api });
    this.promptBox = new PromptBox({
      part, api, session, settings, say, memory: this.memory,
      shown: () => this.#countPredictions(),
      example: () => this.examples.of(this.#dataset, this.desk.image?.file_name),
      onFound: (imageIds) => this.#found(imageIds), onCategories: () => this.palette.reload(),
      onLeave: () => this.desk.over.focus({ preventScroll: true }),
    });
    this.welcome = new Welcome({
      part, api, examples: this.examples,
      onDataset: (id, line = "") => this.#arrived(id, line), onClose: () => this.#closeWelcome(),
      onExample: (id, imageId, example) => this.#tryExample(id, imageId, example),
    });
    this.help = new Help({ part });
  }

  async start() {
    this.#listen();
    fillWindow(this.root, this.part("view"), { onResize: (width, height, dpr) => this.desk.resize(width, height, dpr) });
    exposeDebug(this.desk, this.session, this.outbox);
    this.palette.showConfidence();
    this.#drawTools();
    this.#openOutbox();
    this.examples.load().then(() => this.promptBox.refresh());
    while (!(await this.#loadDatasets())) await pause(RETRY_MS);
    if (!this.#dataset) await this.#openDataset(this.memory.read("dataset"));
    onReturn(this.root, () => this.#lookAgain());
  }

  /** Its storage is the workspace's own, and a server that has just started takes seconds to say which it serves. */
  async #openOutbox() {
    const status = await this.api.status().catch(() => null);
    if (!status) return setTimeout(() => this.#openOutbox(), RETRY_MS);
    await this.outbox.restore(openOpStore(status.workspace));
    if (this.outbox.unsent) this.session.refresh(); // the unsent edits are laid over what is shown
  }

  // --- datasets ------------------------------------------------------------------------------------

  /** False when the server did not answer; what was known stays. */
  async #loadDatasets() {
    this.root.dataset.loaded = "yes";
    try {
      this.#datasets = await this.api.datasets();
    } catch (error) {
      this.status.say(error.message, "error");
      return false;
    }
    const options = this.#datasets.map(({ id, name }) => ({ value: id, text: name }));
    fillSelect(this.part("dataset-select"), options.length ? options : [{ value: "", text: "No images yet" }], this.#dataset?.id);
    this.part("dataset-select").disabled = options.length === 0;
    return true;
  }

  async #openDataset(id) {
    const dataset = this.#datasets.find((one) => one.id === id) ?? this.#datasets[0] ?? null;
    this.#dataset = dataset;
    if (!dataset) return this.welcome.show(this.#datasets, null);
    this.welcome.hide();
    this.memory.write("dataset", dataset.id);
    this.part("dataset-select").value = String(dataset.id);
    this.settings.confidence = this.memory.read(`confidence.${dataset.id}`, DEFAULT_CONFIDENCE);
    this.settings.categoryId = this.memory.read(`category.${dataset.id}`);
    this.settings.hidden.clear();
    this.session.close();
    this.session.setCategories([]);
    this.palette.openDataset(dataset.id);
    this.palette.reload();
    this.promptBox.openDataset(dataset);
    window.dispatchEvent(new CustomEvent("groundwork:dataset", { detail: { id: dataset.id, source: "stage" } }));
    await this.images.openDataset(dataset.id, this.memory.read(`image.${dataset.id}`));
  }

  /** The page (or another part of it) speaks of a dataset; it may be one this stage has not seen yet. */
  async #datasetAnnounced({ id: announced, source } = {}) {
    const id = Number(announced);
    if (source === "stage" || !Number.isFinite(id)) return;
    if (id === this.#dataset?.id) return this.#lookAgain(); // said again: something in it has changed
    if (!this.#datasets.some((dataset) => dataset.id === id)) await this.#loadDatasets();
    if (this.#datasets.some((dataset) => dataset.id === id)) await this.#openDataset(id);
  }

  async #arrived(id, line) {
    await this.#loadDatasets();
    await this.#openDataset(id);
    if (line) this.status.say(line, "error");
  }

  /** Open an example's picture and ask its question. */
  async #tryExample(id, imageId, example) {
    this.memory.write(`image.${id}`, imageId);
    await this.#arrived(id, "");
    if (this.session.imageId === imageId) this.promptBox.ask(example);
  }

  #closeWelcome() {
    this.welcome.hide();
    this.desk.over.focus({ preventScroll: true });
  }

  /** The stage comes into view again: other tabs may have changed the data meanwhile. */
  async #lookAgain() {
    const before = this.#dataset;
    await this.#loadDatasets();
    if (this.#datasets.length === 0 && this.welcome.shown) return;
    const still = this.#datasets.find((one) => one.id === before?.id);
    if (!still) return this.#openDataset(this.memory.read("dataset"));
    this.#dataset = still;
    this.promptBox.setDataset(still);
    if (this.session.imageId === null) return this.images.restart();
    this.session.refresh();
    await this.images.renew();
  }

  // --- images --------------------------------------------------------------------------------------

  async #openImage(row, around) {
    const opened = ++this.#opened;
    if (!row) {
      this.session.close();
      this.desk.show(null);
      this.#drawTools();
      const some = this.images.filtered;
      return this.#note(some ? "No image fits" : "No images yet", some ? "Choose another filter or search." : "Add some with + on the left.");
    }
    this.memory.write(`image.${this.#dataset.id}`, row.id);
    this.#note("");
    const shapes = this.session.open(row.id);
    this.desk.show({ id: row.id, width: row.width, height: row.height, file_name: row.file_name });
    this.#takeFocus();
    await Promise.all([shapes, this.#loadPicture(row, opened)]);
    if (opened === this.#opened && around?.next) this.pixels.ahead(around.next);
  }

  async #loadPicture(row, opened) {
    const slow = setTimeout(() => { if (opened === this.#opened && !this.desk.bitmap) this.#note("", "Loading the picture…"); }, 400);
    try {
      if (!this.pixels.has(row)) await pause(LEAF_MS);
      if (opened !== this.#opened) return;
      const bitmap = await this.pixels.get(row);
      if (opened !== this.#opened) return;
      this.desk.setBitmap(bitmap);
      this.#note("");
    } catch (error) {
      if (opened === this.#opened) this.#note("This picture can't be shown", error.message);
    } finally {
      clearTimeout(slow);
    }
  }

  #viewChanged() {
    this.#drawTools();
    const { desk } = this;
    const reduced = desk.image && desk.bitmap && desk.bitmap.width < desk.image.width;
    const wanted = reduced && desk.scale * devicePixelRatio > (1.2 * desk.bitmap.width) / desk.image.width;
    if (wanted && this.#wholeOf !== this.#opened) this.#loadWhole(desk.image, this.#opened);
  }

  /** Zoomed in beyond the smaller copy of a very large picture: now every pixel counts. */
  async #loadWhole(image, opened) {
    this.#wholeOf = opened;
    try {
      const bitmap = await this.pixels.whole(image);
      if (opened === this.#opened) this.desk.setBitmap(bitmap);
      else bitmap.close();
    } catch (error) {
      if (opened === this.#opened) this.status.say(error.message, "error");
    }
  }

  /** Keys work at once on the new image, unless the person is typing somewhere. */
  #takeFocus() {
    const active = document.activeElement;
    const typing = active && active !== document.body && takesKey(active, "A");
    if (!typing && (active === document.body || this.root.contains(active))) this.desk.over.focus({ preventScroll: true });
  }

  #countPredictions() {
    const shown = this.desk.shapes.filter((shape) => shape.kind === "prediction").length;
    return { shown, below: this.session.state.predictions.length - shown };
  }

  async #found(imageIds) {
    this.images.renew();
    if (imageIds.has(this.session.imageId)) await this.session.refresh();
  }

  // --- what changed --------------------------------------------------------------------------------

  #sessionChanged(what) {
    if (what === "image") return this.#drawTools();
    if (what === "failed") return this.#failed();
    this.#shownChanged(false);
    if (this.session.ready) this.#patchRow();
  }

  #failed() {
    const { session } = this;
    if (session.error.status === 404) this.#note("This image is gone", "It was removed from the dataset.");
    else this.status.say(session.error.message, "error");
    if (!session.ready && session.error.status === 0) setTimeout(() => { if (session.status === "failed") session.refresh(); }, RETRY_MS);
  }

  #patchRow() {
    const { state, imageId } = this.session;
    this.images.patch(imageId, { annotations: state.annotations.length, pending: state.predictions.length, done: Boolean(state.image.done) });
  }

  /** Thresholds, visibility, categories or shapes: bring everything shown in line. */
  #shownChanged(remember = true) {
    const { categories } = this.session.state;
    const known = categories.some((one) => one.id === this.settings.categoryId);
    if (!known && categories.length) this.settings.categoryId = categories[0].id;
    if (remember && this.#dataset) {
      this.memory.write(`confidence.${this.#dataset.id}`, this.settings.confidence);
      this.memory.write(`category.${this.#dataset.id}`, this.settings.categoryId);
    }
    this.desk.update();
    this.palette.draw(this.desk.shapes);
    this.panel.draw();
    this.#drawTools();
  }

  #note(title, text = "") {
    const note = this.part("note");
    this.part("note-title").textContent = title;
    this.part("note-text").textContent = text;
    note.hidden = !title && !text;
  }

  #drawTools() {
    const { part, desk, session, settings } = this;
    if (!this.panel) return; // still being built
    const { ready } = session;
    const pending = desk.shapes.filter((shape) => shape.kind === "prediction").length;
    for (const name of ["select", "box", "point"]) part(`tool-${name}`).setAttribute("aria-pressed", String(desk.tool.name === name));
    enable(part("undo"), session.canUndo, "Nothing to undo on this image");
    enable(part("redo"), session.canRedo, "Nothing to redo");
    enable(part("accept-all"), ready && pending > 0, "No predictions are shown on this image");
    enable(part("done"), ready, "Open an image first");
    part("done").setAttribute("aria-pressed", String(Boolean(ready && session.state.image.done)));
    part("masks").setAttribute("aria-pressed", String(settings.masksShown));
    part("zoom").textContent = desk.image ? `${Math.round(desk.scale * 100)} %` : "–";
    this.status.showReview(session, desk.shapes);
    this.status.showSaving(this.outbox);
    this.promptBox?.refresh();
  }

  // --- keys, buttons, window -----------------------------------------------------------------------

  #commands() {
    const { actions, desk, images } = this;
    return {
      accept: () => actions.accept(), remove: () => actions.remove(), acceptAll: () => actions.acceptAll(),
      nextPrediction: () => actions.nextPrediction(1), previousPrediction: () => actions.nextPrediction(-1),
      done: () => actions.done(), toggleDone: () => actions.toggleDone(),
      next: () => images.step(1), previous: () => images.step(-1),
      select: () => desk.setTool("select"), box: () => desk.setTool("box"), point: () => desk.setTool("point"),
      escape: () => { this.#tabLeaves = !actions.escape(); },
      undo: () => actions.undo(), redo: () => actions.redo(),
      tighten: () => actions.tighten(), category: (name) => actions.chooseNumber(Number(name)),
      nudge: (name) => actions.nudge(...{ Left: [-1, 0], Right: [1, 0], Up: [0, -1], Down: [0, 1] }[name.slice(9)]),
      fit: () => desk.fit(), actualSize: () => desk.actualSize(),
      zoomIn: () => desk.zoom(ZOOM_STEP), zoomOut: () => desk.zoom(1 / ZOOM_STEP),
      hold: () => desk.holdSpace(true), masks: () => this.#toggle("masks", "masksShown"),
      labels: () => this.#toggle("labels", "labelsShown"), help: () => this.help.toggle(true),
    };
  }

  #toggle(name, setting) {
    this.settings[setting] = !this.settings[setting];
    this.memory.write(name, this.settings[setting]);
    this.#shownChanged();
  }

  #listen() {
    const { root, part } = this;
    const commands = this.#commands();
    root.addEventListener("keydown", (event) => this.#key(event, commands), { capture: true });
    document.addEventListener("keydown", (event) => { if (this.#forNobody(event)) this.#key(event, commands); });
    document.addEventListener("keyup", (event) => { if (event.key === " ") this.desk.holdSpace(false); }, { capture: true });
    root.addEventListener("focusout", () => this.desk.holdSpace(false));
    root.addEventListener("pointerdown", () => { this.#tabLeaves = false; }, { capture: true });
    const buttons = { "tool-select": "select", "tool-box": "box", "tool-point": "point", undo: "undo", redo: "redo", "accept-all": "acceptAll", done: "done", masks: "masks", fit: "fit", zoom: "actualSize", "zoom-in": "zoomIn", "zoom-out": "zoomOut", "open-help": "help" };
    for (const [name, command] of Object.entries(buttons)) {
      part(name).addEventListener("click", (event) => {
        if (event.detail > 0) this.desk.over.focus({ preventScroll: true }); // a mouse goes on to the picture
        commands[command]();
      });
    }
    part("open-data").addEventListener("click", () => this.welcome.show(this.#datasets, this.#dataset));
    part("dataset-select").addEventListener("change", (event) => this.#openDataset(Number(event.target.value)));
    part("save-state").addEventListener("click", () => this.outbox.retry());
    window.addEventListener("groundwork:dataset", (event) => this.#datasetAnnounced(event.detail));
    window.addEventListener("online", () => this.outbox.retry());
    window.addEventListener("pagehide", () => this.outbox.flush((imageId, edit) => { this.api.edit(imageId, edit).catch(() => {}); }));
  }

  #key(event, commands) {
    if (event.isComposing || this.help.shown || this.welcome.shown) return;
    const name = keyName(event);
    if (takesKey(event.target, name)) return;
    const shortcut = shortcutFor(event);
    if (!shortcut) return;
    if (name.endsWith("Tab") && !this.#tabKept(event)) return;
    event.preventDefault();
    event.stopPropagation();
    if (event.repeat && ["done", "acceptAll", "toggleDone", "hold"].includes(shortcut.does)) return;
    if (shortcut.does !== "escape") this.#tabLeaves = false;
    commands[shortcut.does](name);
  }

  /** Nothing has the focus (a button was disabled under it, say) or just a page's tab: the keys are meant for the stage. */
  #forNobody(event) {
    if (this.root.offsetParent === null || event.defaultPrevented) return false;
    return event.target === document.body || (event.target.getAttribute?.("role") === "tab" && !/Arrow|Page/.test(event.key));
  }

  /** Tab walks the predictions only while the picture has the focus and there are some. */
  #tabKept(event) {
    return event.target === this.desk.over && !this.#tabLeaves && this.desk.shapes.some((shape) => shape.kind === "prediction");
  }
}
