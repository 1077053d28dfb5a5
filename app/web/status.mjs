/** The bar at the bottom: is everything saved, what just happened, what is left to review. */

import { counted } from "./actions.mjs";

const SHOWN_MS = { info: 5000, advice: 20_000, error: 20_000 };

export class Status {
  #timer = 0;

  constructor({ part }) {
    this.save = part("save-state");
    this.line = part("message");
    this.review = part("review-state");
  }

  /** One calm line. kind: 'info' goes soon, 'advice' and 'error' later, 'busy' stays until the next line. */
  say = (text, kind = "info") => {
    clearTimeout(this.#timer);
    this.line.textContent = text;
    this.line.title = text;
    this.line.dataset.kind = text ? kind : "";
    if (text && SHOWN_MS[kind]) this.#timer = setTimeout(() => this.say(""), SHOWN_MS[kind]);
  };

  showSaving(outbox) {
    const { text, state, title } = savingText(outbox);
    this.save.textContent = text;
    this.save.dataset.state = state;
    this.save.title = title;
  }

  showReview(session, shapes) {
    const pending = shapes.filter((shape) => shape.kind === "prediction").length;
    const below = session.state.predictions.length - pending;
    if (!session.ready) this.review.textContent = "";
    else if (pending) this.review.textContent = `${pending} to review on this image${below ? ` · ${below} below the threshold` : ""}`;
    else if (session.state.image.done) this.review.textContent = "Done";
    else this.review.textContent = below ? `Nothing to review · ${below} below the threshold` : "Nothing to review";
  }
}

/** What the person may rely on: "Saved" means committed on the server. */
export function savingText({ unsent, error, kept }) {
  if (unsent === 0) return { text: "Saved", state: "saved", title: "Every edit is in the database." };
  const where = kept ? "Kept in this browser until it is sent." : "This browser can't keep it across a reload: leave the page open.";
  if (error) {
    const text = error.status === 0 ? `Offline · ${unsent} unsent` : `Not saved · ${unsent} unsent`;
    return { text, state: "offline", title: `${error.message} ${where} Click to try again.` };
  }
  return { text: `${unsent} unsent`, state: "sending", title: where };
}
