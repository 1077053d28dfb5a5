/**
 * Edits on their way to the server: sent one at a time, those of an image in the order they were made, each
 * with its own operation id, so that sending one twice changes nothing. An edit leaves the box only when the server
 * has committed it, or has refused it for good. Knows no network and no storage: both are handed in.
 */

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export class Outbox {
  #queue = []; // {seq, image_id, edit: {op_id, kind, items}}
  #sending = false;
  #failures = 0;
  #stuck = new Set(); // images whose next edit failed in this round
  #wake = null;

  /**
   * @param send (imageId, edit) -> Promise of the reply; rejects with an error whose `final` says "never again"
   * @param storage {all(), put(entry), delete(opId)}, each a Promise; it keeps unsent edits across reloads.
   *   Without one nothing is sent until `restore` brings it
   * @param sleep (ms, onWaker) -> Promise, ended early by the function it hands to `onWaker`
   */
  constructor({ send, storage = null, sleep = defaultSleep, onChange = () => {}, onSent = () => {}, onRefused = () => {} }) {
    this.send = send;
    this.storage = storage;
    this.sleep = sleep;
    this.onChange = onChange;
    this.onSent = onSent;
    this.onRefused = onRefused;
    this.error = null; // why the last attempt failed; null after one that did not
    this.kept = true; // false: this browser can't keep unsent edits across a reload
  }

  /** Keep unsent edits in `storage`, and send those an earlier visit left there before the ones made meanwhile. */
  async restore(storage) {
    const left = await storage.all().catch(() => {
      this.kept = false;
      return [];
    });
    const made = this.#queue;
    this.#queue = left.sort((a, b) => a.seq - b.seq).concat(made);
    this.storage = storage;
    made.forEach((entry) => this.#keep(entry));
    this.onChange();
    this.#drain();
  }

  add(imageId, edit) {
    const last = this.#queue.at(-1)?.seq ?? 0;
    const entry = { seq: Math.max(last + 1, Date.now()), op_id: edit.op_id, image_id: imageId, edit };
    this.#queue.push(entry);
    this.#keep(entry);
    this.onChange();
    this.#drain();
  }

  /** The edits of an image that the server has not confirmed, oldest first. */
  pending(imageId) {
    return this.#queue.filter((entry) => entry.image_id === imageId).map((entry) => entry.edit);
  }

  get unsent() {
    return this.#queue.length;
  }

  /** Try again now: the network came back, or the person asked. */
  retry() {
    this.#wake?.();
  }

  /**
   * The page is going away: hand the browser what may still be sent. Only the first edit of each image,
   * because several at once would arrive in any order; the rest waits in the storage for the next visit.
   */
  flush(sendLast) {
    const seen = new Set();
    for (const entry of this.#queue) {
      if (seen.has(entry.image_id)) continue;
      seen.add(entry.image_id);
      sendLast(entry.image_id, entry.edit);
    }
  }

  async #drain() {
    if (this.#sending || !this.storage) return;
    this.#sending = true;
    while (this.#queue.length) {
      const entry = this.#queue.find((one) => !this.#stuck.has(one.image_id));
      if (entry) await this.#attempt(entry);
      else await this.#rest();
    }
    this.#sending = false;
  }

  #keep(entry) {
    this.storage?.put(entry).catch(() => { this.kept = false; });
  }

  async #rest() {
    this.#failures++;
    await this.sleep(waitFor(this.#failures), (wake) => { this.#wake = wake; });
    this.#wake = null;
    this.#stuck.clear();
  }

  async #attempt(entry) {
    let reply;
    try {
      reply = await this.send(entry.image_id, entry.edit);
    } catch (error) {
      if (!error.final) return this.#failed(entry, error);
      this.#leave(entry);
      return tell(this.onRefused, entry, error);
    }
    this.#leave(entry);
    tell(this.onSent, entry, reply);
  }

  #failed(entry, error) {
    this.error = error;
    const everything = !(error.status >= 500); // no answer at all: the other images' edits won't get one either
    for (const { image_id: imageId } of everything ? this.#queue : [entry]) this.#stuck.add(imageId);
    this.onChange();
  }

  #leave(entry) {
    this.#queue.splice(this.#queue.indexOf(entry), 1);
    if (this.#stuck.size === 0) {
      this.#failures = 0;
      this.error = null;
    }
    this.storage.delete(entry.op_id).catch(() => { this.kept = false; });
    this.onChange();
  }
}

/** Milliseconds before attempt number `failures` + 1: doubling, with a ceiling. */
export function waitFor(failures) {
  return Math.min(FIRST_WAIT_MS * 2 ** (failures - 1), LONGEST_WAIT_MS);
}

/** A storage that forgets with the page, for browsers without IndexedDB and for tests. */
export function memoryStorage(entries = []) {
  const kept = new Map(entries.map((entry) => [entry.op_id, entry]));
  return {
    all: async () => [...kept.values()],
    put: async (entry) => { kept.set(entry.op_id, entry); },
    delete: async (opId) => { kept.delete(opId); },
  };
}

/** A fault of whoever listens must not keep the next edit from being sent. */
function tell(listener, { image_id: imageId, edit }, news) {
  try {
    listener(imageId, edit, news);
  } catch (fault) {
    console.error(fault);
  }
}

function defaultSleep(ms, onWaker) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    onWaker(() => { clearTimeout(timer); resolve(); });
  });
}
