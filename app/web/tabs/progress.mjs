/** A job of the server as a bar with words, until it ends. */

import { progressText, watched } from "../jobs.mjs";
import { fill, h } from "./dom.mjs";
import { getJson, sendJson } from "./http.mjs";

/** Show a job in `place` while it runs; resolves with its last state. */
export async function followed(jobId, place, noun) {
  const bar = h("progress", { class: "gt-bar", max: 1 });
  const words = h("span", { class: "gt-quiet" });
  const stop = h("button", { class: "gt-button gt-small", type: "button" }, "Stop");
  stop.addEventListener("click", () => {
    stop.disabled = true;
    sendJson(`jobs/${jobId}/stop`).catch(() => { stop.disabled = false; });
  });
  fill(place, h("div", { class: "gt-progress" }, bar, h("div", { class: "gt-row" }, words, stop)));
  let last = null;
  for await (const job of watched({ job: (id) => getJson(`jobs/${id}`) }, jobId)) {
    if (job.total) bar.value = job.done / job.total;
    words.textContent = progressText(job, noun);
    last = job;
  }
  return last;
}
