/** The pictures that come along, each with a question to try on it. */

import { element } from "./dom.mjs";
import { TASKS, WAYS, sameQuestion } from "./ways.mjs";

const DATASET = "examples";

export class Examples {
  #asked = null;

  /** @param api of the routes; a list that can't be had is an empty one, and asked for again next time */
  constructor({ api }) {
    this.api = api;
    this.list = [];
  }

  async load() {
    this.#asked ??= this.api.exampleList();
    try {
      this.list = await this.#asked;
    } catch {
      this.#asked = null; // the page works without them
    }
    return this.list;
  }

  /** The question that belongs to an image, if it is one of the examples. */
  of(dataset, fileName) {
    return dataset?.name === DATASET ? (this.list.find((example) => example.file === fileName) ?? null) : null;
  }

  /** Fill `place` with a column for each way to ask; `onChoose` (example) when one is clicked. */
  draw(place, onChoose) {
    const columns = TASKS.map((task) => {
      const cards = this.list.filter((example) => example.task === task).map((example) => this.#card(example, onChoose));
      const head = element("p", { class: "gw-try-head" }, element("strong", {}, WAYS[task].name), element("span", {}, WAYS[task].lead));
      return cards.length ? element("div", { class: "gw-try-column" }, head, ...cards) : null;
    });
    place.replaceChildren(...columns.filter(Boolean));
  }

  #card(example, onChoose) {
    const picture = element("img", { class: "gw-try-picture", alt: "", src: this.api.exampleUrl(example.file), width: "320", height: "240", draggable: "false" });
    const button = element(
      "button",
      { class: "gw-try", type: "button", "data-testid": "example", "data-task": example.task, title: `${WAYS[example.task].name}: ${example.prompt}` },
      picture, element("span", { class: "gw-try-title" }, example.title), element("span", { class: "gw-try-prompt" }, example.prompt),
    );
    button.addEventListener("click", () => onChoose(example));
    return button;
  }
}

/** The question to offer on an image: none where it has just been asked. */
export function offered(example, asked) {
  return example && !sameQuestion(example, asked) ? example : null;
}
