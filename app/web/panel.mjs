/** The selected shape: what it is, who or what made it, and what can be done with it. */

import { fillSelect } from "./dom.mjs";
import { scoreText } from "./scene.mjs";

export class Panel {
  #options = "";

  constructor({ part, session, desk, actions }) {
    Object.assign(this, { session, desk, actions });
    this.empty = part("selected-empty");
    this.body = part("selected-body");
    this.category = part("selected-category");
    this.origin = part("selected-origin");
    this.detail = part("selected-detail");
    this.acceptButton = part("accept");
    this.removeButton = part("reject");
    this.maskButton = part("make-mask");
    this.category.addEventListener("change", () => {
      const chosen = session.state.categories.find((one) => String(one.id) === this.category.value);
      if (chosen) actions.choose(chosen);
    });
    this.acceptButton.addEventListener("click", () => actions.accept());
    this.removeButton.addEventListener("click", () => actions.remove());
    this.maskButton.addEventListener("click", () => actions.makeMask());
  }

  draw() {
    const shape = this.desk.selected;
    this.empty.hidden = Boolean(shape);
    this.body.hidden = !shape;
    if (!shape) return;
    this.#fillCategories(shape.category_id);
    this.origin.textContent = originOf(shape);
    this.detail.textContent = detailOf(shape);
    this.detail.title = shape.prompt ? `Prompt: ${shape.prompt}` : "";
    const predicted = shape.kind === "prediction";
    this.acceptButton.hidden = !predicted;
    this.removeButton.textContent = predicted ? "Reject" : "Delete";
    this.maskButton.textContent = shape.mask ? "New mask" : "Make mask";
  }

  #fillCategories(chosen) {
    const { categories } = this.session.state;
    const options = JSON.stringify(categories.map(({ id, name }) => [id, name]));
    if (options !== this.#options) {
      this.#options = options;
      fillSelect(this.category, categories.map(({ id, name }) => ({ value: id, text: name })));
    }
    this.category.value = String(chosen);
  }
}

/** "Predicted by starter · 0.81", "Found by starter, accepted by anna · 0.81", "Drawn by anna". */
export function originOf(shape) {
  const score = scoreText(shape.score);
  const model = shape.checkpoint ?? "a model";
  if (shape.kind === "prediction") return `Predicted by ${model} · ${score}${secondOpinion(shape.agreement)}`;
  if (shape.source === "model") {
    const by = shape.created_by ? ` by ${shape.created_by}` : "";
    return `Found by ${model}, accepted${by}${score ? ` · ${score}` : ""}`;
  }
  if (shape.created_by === "import") return "Imported";
  return shape.created_by ? `Drawn by ${shape.created_by}` : "Drawn by you";
}

/** @param agreement overlap with a second detector's box, 0 where it has none; null: none was asked */
function secondOpinion(agreement) {
  if (agreement === null || agreement === undefined) return "";
  return agreement ? ` · a second detector agrees (${Math.round(100 * agreement)} %)` : " · one detector alone";
}

export function detailOf(shape) {
  const [x1, y1, x2, y2] = shape.xyxy.map(Math.round);
  const edited = shape.updated_by && shape.updated_by !== shape.created_by ? ` · changed by ${shape.updated_by}` : "";
  return `${x2 - x1} × ${y2 - y1} px at ${x1}, ${y1}${shape.mask ? " · mask" : ""}${edited}`;
}
