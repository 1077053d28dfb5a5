/** The categories on the right: colour, number key, counts, and a threshold each. */

import { element, enable } from "./dom.mjs";
import { countsByCategory, thresholdOf } from "./shapes.mjs";

export class Palette {
  #rows = new Map(); // category id -> the parts of its row
  #menu = null;

  /**
   * @param onShown () when thresholds or visibility changed: only what is shown changes, at once
   * @param onCategories (list) after the server has changed them
   */
  constructor({ part, root, api, session, settings, actions, say, onShown, onCategories }) {
    Object.assign(this, { root, api, session, settings, actions, say, onShown, onCategories });
    this.list = part("category-list");
    this.name = part("category-name");
    this.addButton = part("add-category");
    this.global = part("threshold");
    this.globalValue = part("threshold-value");
    part("category-form").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#add();
    });
    this.name.addEventListener("input", () => this.#enableAdd());
    this.global.addEventListener("input", () => this.#confidence(Number(this.global.value)));
    root.addEventListener("pointerdown", (event) => {
      if (this.#menu && !this.#menu.contains(event.target)) this.#closeMenu();
    });
    this.#enableAdd();
  }

  #enableAdd() {
    enable(this.addButton, this.name.value.trim() !== "" && this.datasetId != null, "Type a name first");
  }

  openDataset(datasetId) {
    this.datasetId = datasetId;
    this.name.value = "";
    this.#enableAdd();
    this.showConfidence();
  }

  showConfidence() {
    this.global.value = String(this.settings.confidence);
    this.global.style.setProperty("--gw-fill", `${this.settings.confidence * 100}%`);
    this.globalValue.textContent = this.settings.confidence.toFixed(2);
  }

  #confidence(value) {
    this.settings.confidence = value;
    this.showConfidence();
    this.onShown();
  }

  /** Bring the rows in line with the categories and the shapes shown; existing rows stay where they are. */
  draw(shapes) {
    const { categories } = this.session.state;
    const counts = countsByCategory(shapes);
    for (const [id, row] of this.#rows) {
      if (!categories.some((category) => category.id === id)) {
        row.node.remove();
        this.#rows.delete(id);
      }
    }
    categories.forEach((category, index) => {
      if (!this.#rows.has(category.id)) this.#rows.set(category.id, this.#makeRow(category.id));
      const row = this.#rows.get(category.id);
      if (this.list.children[index] !== row.node) this.list.insertBefore(row.node, this.list.children[index] ?? null);
      this.#fill(row, category, index, counts.get(category.id));
    });
    this.list.dataset.empty = categories.length ? "" : "No categories yet. Find something above, or add one here.";
  }

  #category(id) {
    return this.session.state.categories.find((category) => category.id === id);
  }

  #makeRow(id) {
    const key = element("span", { class: "gw-key-hint", "aria-hidden": "true" });
    const swatch = element("button", { class: "gw-swatch", type: "button" });
    const name = element("button", { class: "gw-category-name", type: "button" });
    const count = element("span", { class: "gw-count" });
    const slider = element("input", { class: "gw-slider", type: "range", min: "0", max: "1", step: "0.01", "data-testid": "category-threshold" });
    const value = element("span", { class: "gw-slider-value" });
    const more = element("button", { class: "gw-more", type: "button", "aria-label": "Rename, colour, delete", title: "Rename, colour, delete" }, "⋯");
    const node = element("div", { class: "gw-category", "data-testid": "category-item", "data-category-id": id }, key, swatch, name, count, slider, value, more);
    swatch.addEventListener("click", () => this.#toggle(id));
    name.addEventListener("click", () => this.actions.choose(this.#category(id)));
    slider.addEventListener("input", () => this.#threshold(id, Number(slider.value)));
    slider.addEventListener("change", () => this.#save(id, { threshold: Number(slider.value) }));
    slider.addEventListener("dblclick", () => this.#followGlobal(id));
    more.addEventListener("click", () => this.#openMenu(id, node));
    return { node, key, swatch, name, count, slider, value };
  }

  #fill(row, category, index, count) {
    const hidden = this.settings.hidden.has(category.id);
    const threshold = thresholdOf(category, this.settings.confidence);
    row.node.classList.toggle("gw-category-hidden", hidden);
    row.node.classList.toggle("gw-category-own", category.threshold !== null);
    row.node.classList.toggle("gw-category-current", category.id === this.settings.categoryId);
    row.key.textContent = index < 9 ? String(index + 1) : "";
    row.swatch.style.setProperty("--gw-swatch", category.color);
    row.swatch.setAttribute("aria-label", `${hidden ? "Show" : "Hide"} ${category.name}`);
    row.swatch.title = hidden ? "Show" : "Hide";
    row.name.textContent = category.name;
    row.name.title = category.phrases?.length ? `${category.name}: ${category.phrases.join(", ")}` : category.name;
    row.name.setAttribute("aria-pressed", String(category.id === this.settings.categoryId));
    const total = (count?.annotations ?? 0) + (count?.predictions ?? 0);
    row.count.textContent = total ? String(total) : "";
    row.count.title = `${count?.annotations ?? 0} labelled, ${count?.predictions ?? 0} to review on this image`;
    row.slider.setAttribute("aria-label", `Threshold of ${category.name}`);
    row.slider.title = category.threshold === null ? "Follows the confidence above. Drag to set its own." : "Its own threshold. Double-click to follow the confidence above.";
    if (document.activeElement !== row.slider || Number(row.slider.value) !== threshold) row.slider.value = String(threshold);
    row.slider.style.setProperty("--gw-fill", `${threshold * 100}%`);
    row.value.textContent = threshold.toFixed(2).replace(/^0/, "");
  }

  #toggle(id) {
    const { hidden } = this.settings;
    if (!hidden.delete(id)) hidden.add(id);
    this.onShown();
  }

  #threshold(id, threshold) {
    const categories = this.session.state.categories.map((one) => (one.id === id ? { ...one, threshold } : one));
    this.onCategories(categories);
  }

  #followGlobal(id) {
    this.#threshold(id, null);
    this.#save(id, { threshold: null });
  }

  async #save(id, fields) {
    try {
      const saved = await this.api.changeCategory(id, fields);
      const categories = this.session.state.categories.map((one) => (one.id === id ? { ...one, ...saved } : one));
      this.onCategories(categories);
      return true;
    } catch (error) {
      this.say(error.message, "error");
      await this.reload();
      return false;
    }
  }

  async reload() {
    const { datasetId } = this;
    if (datasetId == null) return;
    try {
      const categories = await this.api.categories(datasetId);
      if (datasetId === this.datasetId) this.onCategories(categories);
    } catch (error) {
      this.say(error.message, "error");
    }
  }

  async #add() {
    const name = this.name.value.trim();
    if (!name || this.datasetId == null) return;
    try {
      const category = await this.api.addCategory(this.datasetId, name);
      this.name.value = "";
      this.#enableAdd();
      await this.reload();
      this.settings.categoryId = category.id;
      this.onShown();
      this.say(`Added “${name}”. Draw it with B.`, "info");
    } catch (error) {
      this.say(error.message, "error");
    }
  }

  // --- the menu of one category --------------------------------------------------------------------

  #openMenu(id, node) {
    this.#closeMenu();
    const category = this.#category(id);
    const name = element("input", { class: "gw-field", type: "text", maxlength: "100", "aria-label": "Name" });
    name.value = category.name;
    const colour = element("input", { class: "gw-colour", type: "color", "aria-label": "Colour" });
    colour.value = category.color;
    const follow = element("button", { class: "gw-button", type: "button" }, "Follow the confidence above");
    follow.disabled = category.threshold === null;
    const remove = element("button", { class: "gw-button gw-danger", type: "button" }, "Delete");
    const save = element("button", { class: "gw-button gw-primary", type: "submit" }, "Rename");
    this.#menu = element(
      "form", { class: "gw-menu", "data-testid": "category-menu" },
      element("div", { class: "gw-menu-line" }, name, colour), follow, element("div", { class: "gw-menu-line" }, save, remove),
    );
    this.#menu.addEventListener("submit", async (event) => {
      event.preventDefault();
      if (await this.#save(id, { name: name.value.trim() })) this.#closeMenu();
    });
    this.#menu.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.#closeMenu();
    });
    colour.addEventListener("change", () => this.#save(id, { color: colour.value }));
    follow.addEventListener("click", () => { this.#followGlobal(id); this.#closeMenu(); });
    remove.addEventListener("click", () => this.#delete(id));
    node.after(this.#menu);
    this.#menu.scrollIntoView({ block: "nearest" });
    name.focus({ preventScroll: true });
    name.select();
  }

  #closeMenu() {
    this.#menu?.remove();
    this.#menu = null;
  }

  async #delete(id) {
    try {
      await this.api.deleteCategory(id);
      this.#closeMenu();
    } catch (error) {
      this.say(error.message, "error");
    }
    await this.reload();
  }
}
