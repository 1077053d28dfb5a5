/**
 * The dataset all tabs look at. It is kept where the stage keeps it, and both tell the other by the
 * `groundwork:dataset` event on the window: whoever changes it writes first and then says so.
 */

import { makeMemory } from "../memory.mjs";
import { getJson } from "./http.mjs";

export const EVENT = "groundwork:dataset";
const memory = makeMemory(globalThis.localStorage);

/** The id of the chosen dataset, or null. */
export function chosenId() {
  const id = Number(memory.read("dataset"));
  return Number.isInteger(id) && id > 0 ? id : null;
}

export function choose(id) {
  memory.write("dataset", id);
  window.dispatchEvent(new CustomEvent(EVENT, { detail: { id } }));
}

/** Say that the datasets themselves have changed: one was made, images came in. */
export function announceChange(id = chosenId()) {
  choose(id);
}

export function onDataset(listener) {
  window.addEventListener(EVENT, listener);
}

/** All datasets and the chosen one of them: the remembered one, else the first, else null. */
export async function datasets() {
  const { datasets: all } = await getJson("datasets");
  const chosen = all.find((row) => row.id === chosenId()) ?? all[0] ?? null;
  return { all, chosen };
}
