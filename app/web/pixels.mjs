/** Pictures as bitmaps: the last few are kept, the next one is fetched ahead. */

import { ApiError, lineOf } from "./api.mjs";

const KEPT_PX = 64e6; // a quarter of a gigabyte
const ALWAYS_KEPT = 3; // the one shown, the one before, the one fetched ahead
const MOST_KEPT = 8;
const LARGEST_PX = 24e6; // above this a smaller copy comes first: 100 Mpx take 400 MB here
const REDUCED_WIDTH_PX = 3840; // the widest copy the server scales down to

export class Pixels {
  #bitmaps = new Map(); // image id -> {image, loading: Promise of ImageBitmap}, oldest first

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
      return known.loading;
    }
    const loading = this.#load(image);
    this.#bitmaps.set(image.id, { image, loading });
    loading.catch(() => this.#bitmaps.delete(image.id));
    this.#trim();
    return loading;
  }

  has(image) {
    return this.#bitmaps.has(image.id);
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
    let pixels = 0;
    for (const { image } of this.#bitmaps.values()) pixels += Math.min(image.width * image.height, LARGEST_PX);
    for (const [id, { image, loading }] of this.#bitmaps) {
      const { size } = this.#bitmaps;
      if (size <= ALWAYS_KEPT || (size <= MOST_KEPT && pixels <= KEPT_PX)) return;
      pixels -= Math.min(image.width * image.height, LARGEST_PX);
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
