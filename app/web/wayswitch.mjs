/** The switch between the ways to ask: one stop for Tab, arrows inside, as a group of radio buttons is. */

import { TASKS, WAYS } from "./ways.mjs";

const STEPS = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 };

export class WaySwitch {
  /** @param onChoose (task) when the person chose another way */
  constructor({ part, onChoose }) {
    this.onChoose = onChoose;
    this.buttons = { detect: part("ask-detect"), ground: part("ask-ground"), refer: part("ask-refer") };
    for (const task of TASKS) {
      const button = this.buttons[task];
      button.title = `${WAYS[task].hint}: ${WAYS[task].placeholder}`;
      button.addEventListener("click", () => this.#choose(task));
      button.addEventListener("keydown", (event) => this.#key(event, task));
    }
    this.show("detect");
  }

  show(task) {
    this.task = task;
    for (const [name, button] of Object.entries(this.buttons)) {
      button.setAttribute("aria-checked", String(name === task));
      button.tabIndex = name === task ? 0 : -1;
    }
  }

  #choose(task) {
    if (task === this.task) return;
    this.show(task);
    this.onChoose(task);
  }

  #key(event, task) {
    const step = STEPS[event.key];
    if (!step) return;
    event.preventDefault();
    const next = TASKS[(TASKS.indexOf(task) + step + TASKS.length) % TASKS.length];
    this.#choose(next);
    this.buttons[next].focus();
  }
}
