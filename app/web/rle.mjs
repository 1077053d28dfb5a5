/**
 * Masks as COCO's compressed run-length code: {size: [height, width], counts: string}.
 * Runs go down the columns, the first run counts zeros. The string packs each run (from the third on,
 * its difference to the run two before) in 5-bit groups, least first, bit 0x20 marking "more follows",
 * plus 48; specification: cocoapi, maskApi.c (rleToString, rleFrString).
 */

/** Run lengths of a code, zeros first. Throws RangeError on a string no encoder makes. */
export function runsOf(rle) {
  const counts = rle.counts;
  const runs = [];
  for (let at = 0; at < counts.length; ) {
    let value = 0;
    let shift = 0;
    let more = true;
    while (more) {
      const group = counts.charCodeAt(at++) - 48;
      if (!(group >= 0 && group < 64) || shift > 30) throw new RangeError("The mask's run-length code is damaged.");
      value |= (group & 0x1f) << shift;
      shift += 5;
      more = (group & 0x20) !== 0;
      if (!more && group & 0x10 && shift < 32) value |= -1 << shift;
    }
    if (runs.length > 2) value += runs[runs.length - 2];
    runs.push(value);
  }
  return runs;
}

/** The compressed string of run lengths. */
export function countsOf(runs) {
  let text = "";
  runs.forEach((run, index) => {
    let value = index > 2 ? run - runs[index - 2] : run;
    let more = true;
    while (more) {
      let group = value & 0x1f;
      value >>= 5;
      more = group & 0x10 ? value !== -1 : value !== 0;
      if (more) group |= 0x20;
      text += String.fromCharCode(group + 48);
    }
  });
  return text;
}

/** Uint8Array of 0 and 1, height * width long, row by row. */
export function decoded(rle) {
  const [height, width] = rle.size;
  const mask = new Uint8Array(height * width);
  forEachRun(rle, (column, top, bottom) => {
    for (let y = top; y < bottom; y++) mask[y * width + column] = 1;
  });
  return mask;
}

/** The code of a row-by-row mask of 0 and 1. */
export function encoded(mask, height, width) {
  const runs = [];
  let value = 0;
  let length = 0;
  for (let x = 0; x < width; x++) {
    for (let y = 0; y < height; y++) {
      if (mask[y * width + x] === value) {
        length++;
      } else {
        runs.push(length);
        value = 1 - value;
        length = 1;
      }
    }
  }
  runs.push(length);
  return { size: [height, width], counts: countsOf(runs) };
}

/** Calls visit(column, top, bottom) for each piece of mask, one column at a time, bottom exclusive. */
export function forEachRun(rle, visit) {
  const [height, width] = rle.size;
  const end = height * width;
  let at = 0;
  runsOf(rle).forEach((run, index) => {
    const stop = Math.min(at + run, end);
    while (index % 2 === 1 && at < stop) {
      const column = Math.floor(at / height);
      const bottom = Math.min(stop - column * height, height);
      visit(column, at - column * height, bottom);
      at = column * height + bottom;
    }
    at = stop;
  });
}

/** The tight box [x1, y1, x2, y2] around the mask, or null when it is empty. */
export function boxOf(rle) {
  let box = null;
  forEachRun(rle, (column, top, bottom) => {
    box ??= [column, top, column + 1, bottom];
    box = [Math.min(box[0], column), Math.min(box[1], top), Math.max(box[2], column + 1), Math.max(box[3], bottom)];
  });
  return box;
}

/** The mask shifted by whole pixels; what leaves the image is cut off. */
export function shifted(rle, dx, dy) {
  const [height, width] = rle.size;
  const mask = new Uint8Array(height * width);
  const [stepX, stepY] = [Math.round(dx), Math.round(dy)];
  forEachRun(rle, (column, top, bottom) => {
    const x = column + stepX;
    if (x < 0 || x >= width) return;
    for (let y = Math.max(top + stepY, 0); y < Math.min(bottom + stepY, height); y++) mask[y * width + x] = 1;
  });
  return encoded(mask, height, width);
}

/** Is the pixel (x, y) part of the mask? */
export function covers(rle, x, y) {
  const [height, width] = rle.size;
  const [column, row] = [Math.floor(x), Math.floor(y)];
  if (column < 0 || row < 0 || column >= width || row >= height) return false;
  let left = column * height + row;
  const runs = runsOf(rle);
  for (let index = 0; index < runs.length; index++) {
    if (left < runs[index]) return index % 2 === 1;
    left -= runs[index];
  }
  return false;
}
