/** The "?" overlay: the table of keys, as the stage obeys it. */

import { element } from "./dom.mjs";
import { SHORTCUTS } from "./keys.mjs";

export class Help {
  #before = null;

  constructor({ part }) {
    this.node = part("help");
    this.closeButton = part("help-close");
    this.#fill(part("help-keys"));
    this.closeButton.addEventListener("click", () => this.toggle(false));
    this.node.addEventListener("pointerdown", (event) => { if (event.target === this.node) this.toggle(false); });
    this.node.addEventListener("keydown", (event) => {
      event.stopPropagation(); // the stage's keys rest while this is open
      if (event.key === "Escape" || event.key === "?") this.toggle(false);
      if (event.key === "Tab") event.preventDefault(); // the close button is all there is
    });
  }

  get shown() {
    return !this.node.hidden;
  }

  toggle(shown = !this.shown) {
    if (shown) this.#before = document.activeElement;
    this.node.hidden = !shown;
    if (shown) this.closeButton.focus();
    else this.#before?.focus({ preventScroll: true });
  }

  #fill(place) {
    const groups = new Map();
    for (const shortcut of SHORTCUTS) {
      if (!groups.has(shortcut.group)) groups.set(shortcut.group, []);
      groups.get(shortcut.group).push(shortcut);
    }
    for (const [title, shortcuts] of groups) {
      const rows = shortcuts.map(({ shows, text }) =>
        element("div", { class: "gw-help-row" }, element("span", { class: "gw-help-text" }, text), element("kbd", {}, shows)));
      place.append(element("section", { class: "gw-help-group" }, element("h4", {}, title), ...rows));
    }
  }
}
