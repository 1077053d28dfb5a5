/**
 * All masks of an image as one picture: a pale fill and a strong rim in the category's colour.
 * Where masks overlap the later one wins, so that each rim stays a clean line.
 */

import { channels } from "./colour.mjs";
import { forEachRun } from "./rle.mjs";

const FILL_ALPHA = 0.34;
const RIM_ALPHA = 0.95;
const LONGEST_SIDE_PX = 2048; // finer than any screen at fit; keeps a 100 Mpx image at 16 MB

/** How many image pixels one painted pixel stands for. */
export function shrinkOf(image) {
  return Math.max(1, Math.ceil(Math.max(image.width, image.height) / LONGEST_SIDE_PX));
}

/**
 * Paint into `pixels` (RGBA, 4 * paintedWidth * paintedHeight), which is cleared first.
 *
 * @param masks [{mask: Rle, color: '#rrggbb', faint: boolean}], painted in this order.
 */
export function paintMasks(masks, image, pixels) {
  const shrink = shrinkOf(image);
  const width = Math.ceil(image.width / shrink);
  const height = Math.ceil(image.height / shrink);
  const owner = ownersOf(masks, width, height, shrink);
  const inks = masks.map(({ color, faint }) => {
    const rgb = channels(color);
    const strength = faint ? 0.7 : 1;
    return { rgb, fill: Math.round(255 * FILL_ALPHA * strength), rim: Math.round(255 * RIM_ALPHA * strength) };
  });
  pixels.fill(0);
  for (let y = 0, at = 0; y < height; y++) {
    for (let x = 0; x < width; x++, at++) {
      const mine = owner[at];
      if (mine === 0) continue;
      const ink = inks[mine - 1];
      const inside = x > 0 && x < width - 1 && y > 0 && y < height - 1
        && owner[at - 1] === mine && owner[at + 1] === mine && owner[at - width] === mine && owner[at + width] === mine;
      pixels[4 * at] = ink.rgb[0];
      pixels[4 * at + 1] = ink.rgb[1];
      pixels[4 * at + 2] = ink.rgb[2];
      pixels[4 * at + 3] = inside ? ink.fill : ink.rim;
    }
  }
}

/** (height * width) number of the mask on top of each pixel, from 1; 0 where there is none. */
function ownersOf(masks, width, height, shrink) {
  const owner = new Uint16Array(width * height);
  masks.forEach(({ mask }, index) => {
    forEachRun(mask, (column, top, bottom) => {
      if (column % shrink !== 0) return;
      const x = column / shrink;
      for (let y = Math.ceil(top / shrink); y * shrink < bottom; y++) owner[y * width + x] = index + 1;
    });
  });
  return owner;
}
