/** Numbers and moments as a person reads them. Knows no DOM. */

export function count(number, one, many = `${one}s`) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

/** A score in [0, 1] with three decimals; a dash where there is none (COCO says -1 for "nothing to measure"). */
export function score(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value.toFixed(3) : "–";
}

/** The difference of two scores with its sign, or "" where one is missing. */
export function change(before, after) {
  if (score(before) === "–" || score(after) === "–") return "";
  const points = after - before;
  return `${points < 0 ? "−" : "+"}${Math.abs(points).toFixed(3)}`;
}

/** "14:05" today, "21 Nov 14:05" on other days. */
export function moment(text, now = new Date()) {
  if (!text) return "–";
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return "–";
  const time = date.toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit" });
  if (date.toDateString() === now.toDateString()) return time;
  return `${date.getDate()} ${date.toLocaleString("en-GB", { month: "short" })} ${time}`;
}

/** Steps of 1, 2 or 5 times a power of ten that cut [low, high] into at most `most` pieces. */
export function ticks(low, high, most = 5) {
  if (!(high > low)) return [low];
  const rough = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough);
  const found = [];
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) {
    found.push(Number((index * step).toPrecision(12)));
  }
  return found;
}

/** A detector's name as it fits a line: of a folder's path only the last part. */
export function shortName(name) {
  if (!/^([/~]|[A-Za-z]:\\)/.test(name)) return name;
  return name.split(/[/\\]/).filter(Boolean).at(-1) ?? name;
}
