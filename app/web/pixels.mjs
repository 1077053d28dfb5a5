/** Pictures as bitmaps: the last few are kept, the next one is fetched ahead. */

import { ApiError, lineOf } from "./api.mjs";

const KEPT = 6;
const LARGEST_PX = 24e6; // above this a smaller copy comes first: 100 Mpx take 400 MB here
const REDUCED_WIDTH_PX = 3840; // the widest copy the server scales down to

export class Pixels {
  #bitmaps = new Map(); // image id -> Promise of ImageBitmap, oldest first

  constructor(api, fetchFn = globalThis.fetch.bind(globalThis)) {
    this.api = api;
    this.fetchFn = fetchFn;
  }

  /** Promise of the picture of {id, width, height}. A failed one is forgotten, so that it can be asked again. */
  get(image) {
    const known = this.#bitmaps.get(image.id);
    if (known) {
      this.#bitmaps.delete(image.id);
      this.#bitmaps.set(image.id, known);
      return known;
    }
    const loading = this.#load(image);
    this.#bitmaps.set(image.id, loading);
    loading.catch(() => this.#bitmaps.delete(image.id));
    this.#trim();
    return loading;
  }

  ahead(image) {
    this.get(image).catch(() => {}); // whoever opens the image reports it
  }

  /** Every pixel of a picture of which `get` brought a smaller copy; not kept. */
  whole(image) {
    return this.#load(image, null);
  }

  async #load(image, width = reducedWidth(image)) {
    const response = await this.fetchFn(this.api.pixelsUrl(image.id, width));
    if (!response.ok) throw new ApiError(lineOf(await response.text(), response.status), response.status);
    return createImageBitmap(await response.blob());
  }

  #trim() {
    for (const [id, loading] of this.#bitmaps) {
      if (this.#bitmaps.size <= KEPT) return;
      this.#bitmaps.delete(id);
      loading.then((bitmap) => setTimeout(() => bitmap.close(), 10_000), () => {});
    }
  }
}

/** The width to ask for, or null for all of it. */
export function reducedWidth(image) {
  const pixels = image.width * image.height;
  if (pixels <= LARGEST_PX) return null;
  return Math.min(Math.floor(image.width * Math.sqrt(LARGEST_PX / pixels)), REDUCED_WIDTH_PX);
}
