/** Watching a job of the server until it ends. Knows no DOM. */

const POLL_MS = 600;
const RUNNING = new Set(["queued", "running"]);

/**
 * Yields the state of the job each time it was asked for, the last one included.
 * A server that does not answer for a while is asked again; the job goes on without us.
 */
export async function* watched(api, jobId, { sleep = pause, patience = 20 } = {}) {
  let missed = 0;
  for (;;) {
    try {
      const job = await api.job(jobId);
      missed = 0;
      yield job;
      if (!RUNNING.has(job.state)) return;
    } catch (error) {
      if (error.final || ++missed > patience) throw error;
    }
    await sleep(POLL_MS);
  }
}

/** "1 of 40 images · 2 min left": what a progress bar says in words. */
export function progressText(job, noun = "images") {
  if (job.state === "queued") return "Waiting for its turn…";
  if (!job.total) return "Starting…";
  if (job.done === 0) return job.total === 1 ? "Looking…" : `Starting on ${job.total} ${noun}…`;
  const counted = `${job.done} of ${job.total} ${noun}`;
  const left = durationText(job.seconds_left);
  return left && job.done < job.total ? `${counted} · ${left} left` : counted;
}

export function durationText(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "";
  if (seconds < 60) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 3600) return `${Math.round(seconds / 60)} min`;
  return `${Math.floor(seconds / 3600)} h ${Math.round((seconds % 3600) / 60)} min`;
}

export function pause(ms) {
  return new Promise((resolve) => { setTimeout(resolve, ms); });
}
