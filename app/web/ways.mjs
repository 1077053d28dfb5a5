/** The three ways to ask, and what the page says about each. Knows no DOM. */

import { counted } from "./actions.mjs";

export const WAYS = {
  detect: {
    name: "Things",
    lead: "Name them",
    placeholder: "cat. remote control.",
    hint: "Names, each ended by a full stop",
    empty: "Type what to find first, for example: cat. remote control.",
  },
  ground: {
    name: "Sentence",
    lead: "All it names",
    placeholder: "a cat left of two dogs",
    hint: "Each thing the sentence names is found",
    empty: "Type a sentence first, for example: a cat left of two dogs",
  },
  refer: {
    name: "One thing",
    lead: "The one meant",
    placeholder: "the larger of the two cats",
    hint: "Only the one that you mean is found",
    empty: "Describe one thing first, for example: the larger of the two cats",
  },
};

export const TASKS = Object.keys(WAYS);

/** A way that was remembered, if there still is such a one. */
export function knownTask(task) {
  return Object.hasOwn(WAYS, task ?? "") ? task : "detect";
}

/** Two questions that a detector would answer alike. */
export function sameQuestion(one, other) {
  const words = (text) => text.toLowerCase().split(/[\s.?]+/).filter(Boolean).join(" ");
  return one.task === other.task && words(one.prompt) === words(other.prompt);
}

/**
 * What a search came to, in one line.
 *
 * @param job its last state; `detections` counts what was kept, however unsure
 * @param asked {task, prompt}
 * @param here {shown, below} the confidence on the open image, when it was the one searched; else null
 * @param confidence below which nothing is shown
 */
export function foundText(job, asked, here, confidence) {
  if (!job.detections) return nothingText(asked, job.done);
  if (!here) return `${counted(job.detections, "proposal")} on ${counted(job.done, "image")}; those above the confidence are shown.`;
  if (here.shown) return asked.task === "refer" ? "Found the one that is meant." : `Found ${counted(here.shown, "object")}.`;
  if (!here.below) return "What was found is labelled or rejected already.";
  const hidden = asked.task === "refer" ? "what may fit" : counted(here.below, "guess", "guesses");
  return `Nothing above the confidence of ${confidence.toFixed(2)}. Lower it to see ${hidden}.`;
}

/** What a search over all images left alone, and how to have it done nevertheless. */
export function beforeText({ result, done }) {
  const already = result?.already ?? 0;
  if (!already) return "";
  const which = already === done ? "All of them" : counted(already, "image");
  return ` ${which} had this answer already; Shift-click asks again.`;
}

function nothingText({ task, prompt }, images) {
  if (task !== "refer") return "Nothing found. Try another word for it.";
  return `Nothing ${images === 1 ? "here" : `on these ${images} images`} fits “${shortened(prompt)}”.`;
}

function shortened(text, most = 60) {
  const characters = Array.from(text);
  return characters.length > most ? `${characters.slice(0, most - 1).join("")}…` : text;
}
