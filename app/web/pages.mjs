/**
 * A long list of which only the pages that were looked at are here. Rows are never re-ordered behind the
 * person's back: a row that no longer fits the filter stays until the list is asked for anew.
 */

export const PAGE_SIZE = 100;

export class Pages {
  #token = 0;
  #asked = new Set();

  /** @param fetchPage (query) -> Promise of {total, items}. */
  constructor({ fetchPage, onChange = () => {}, onError = () => {} }) {
    this.fetchPage = fetchPage;
    this.onChange = onChange;
    this.onError = onError;
    this.rows = [];
    this.total = null; // null: not known yet
  }

  /** Start over with another filter or search; resolves when the first page is here. */
  async restart(query) {
    this.#token++;
    this.#asked.clear();
    this.query = query;
    this.rows = [];
    this.total = null;
    this.onChange();
    await this.need(0, 0);
  }

  /** Fetch whatever is missing between two row numbers, both inclusive. */
  async need(first, last) {
    const token = this.#token;
    const wanted = [];
    for (let page = Math.floor(first / PAGE_SIZE); page <= Math.floor(last / PAGE_SIZE); page++) {
      if (page >= 0 && !this.#asked.has(page)) wanted.push(this.#fetch(page, token));
    }
    await Promise.all(wanted);
  }

  async #fetch(page, token) {
    this.#asked.add(page);
    const offset = page * PAGE_SIZE;
    try {
      const reply = await this.fetchPage({ ...this.query, offset, limit: PAGE_SIZE });
      if (token !== this.#token) return;
      reply.items.forEach((row, index) => { this.rows[offset + index] = row; });
      this.total = reply.total;
      this.onChange();
    } catch (error) {
      if (token !== this.#token) return;
      this.#asked.delete(page);
      this.onError(error);
    }
  }

  /** Fetch a page again in place, for rows that a job has changed. */
  async renew(first, last) {
    for (let page = Math.floor(first / PAGE_SIZE); page <= Math.floor(last / PAGE_SIZE); page++) this.#asked.delete(page);
    await this.need(first, last);
  }

  async row(index) {
    if (index < 0 || (this.total !== null && index >= this.total)) return null;
    await this.need(index, index);
    return this.rows[index] ?? null;
  }

  indexOf(imageId) {
    return this.rows.findIndex((row) => row?.id === imageId);
  }

  /** Change what is known about one image, where it stands. */
  patch(imageId, fields) {
    const index = this.indexOf(imageId);
    if (index < 0) return;
    const before = this.rows[index];
    const changed = Object.keys(fields).some((name) => before[name] !== fields[name]);
    if (!changed) return;
    this.rows[index] = { ...before, ...fields };
    this.onChange();
  }
}

/** Which rows a window of `height` px at `scrollTop` shows, with a few beyond either end; inclusive. */
export function rowsInView(scrollTop, height, rowHeight, total, beyond = 4) {
  if (total === 0) return { first: 0, last: -1 };
  return {
    first: Math.max(Math.floor(scrollTop / rowHeight) - beyond, 0),
    last: Math.min(Math.ceil((scrollTop + height) / rowHeight) - 1 + beyond, total - 1),
  };
}

/** 'done', 'review', 'labelled' or 'new': the state a row shows. */
export function stateOf(row) {
  if (row.done) return "done";
  if (row.pending > 0) return "review";
  return row.annotations > 0 ? "labelled" : "new";
}
