/** A line chart in SVG, drawn in the pixels it has: no flicker, and it keeps its size while points arrive. */

import { fill, h, svg } from "./dom.mjs";
import { ticks } from "./format.mjs";

const HEIGHT = 190;
const EDGE = { left: 38, right: 12, top: 10, bottom: 24 };

/**
 * @param title what is drawn.
 * @param series [{name, tone: 1|2|3, points: [[x, y], ...], dots}]; x is the step.
 * @param options unit: y is in [0, 1]; full: y always goes up to 1; fractions: x is in [0, 1] instead of steps;
 *   empty: text when there is nothing.
 * `draw(series, steps, mark)`: steps is the right end of the axis, mark an x to point out, or null.
 */
export function makeChart(title, { unit = false, full = false, fractions = false, empty = "" } = {}) {
  const plot = svg("svg", { role: "img", "aria-label": title });
  const legend = h("span", { class: "gt-legend" });
  const element = h("figure", { class: "gt-chart" }, h("figcaption", {}, h("span", {}, title), legend), plot);
  let latest = [[], 0, null];
  const draw = (series, steps, mark = null) => {
    latest = [series, steps, mark];
    const width = plot.clientWidth;
    if (!width) return; // not on screen: drawn when it is
    const drawn = series.filter((line) => line.points.length);
    fill(legend, drawn.map(({ name, tone }) => h("span", { class: `gt-tone-${tone}` }, name)));
    plot.replaceChildren(...(drawn.length ? lines(drawn, { steps, mark, unit, full, fractions }, width) : [hint(empty, width)]));
  };
  new ResizeObserver(() => draw(...latest)).observe(plot);
  return { element, draw };
}

function lines(series, { steps, mark, unit, full, fractions }, width) {
  const all = series.flatMap((line) => line.points);
  const right = Math.max(steps || 0, ...all.map(([x]) => x), 1);
  const [low, high] = full ? [0, 1] : range(all.map(([, y]) => y), unit);
  const x = (value) => EDGE.left + (value / right) * (width - EDGE.left - EDGE.right);
  const y = (value) => HEIGHT - EDGE.bottom - ((value - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  return [
    ...ticks(low, high, 4).flatMap((value) => [
      svg("line", { x1: EDGE.left, x2: width - EDGE.right, y1: y(value), y2: y(value), class: "gt-grid" }),
      svg("text", { x: EDGE.left - 6, y: y(value) + 4, "text-anchor": "end" }, String(value)),
    ]),
    ...ticks(0, right, width < 340 ? 3 : 5).filter((value) => fractions || Number.isInteger(value)).map((value) =>
      svg("text", { x: x(value), y: HEIGHT - 8, "text-anchor": "middle" }, value.toLocaleString("en"))),
    ...(mark === null ? [] : [svg("line", { x1: x(mark), x2: x(mark), y1: EDGE.top, y2: HEIGHT - EDGE.bottom, class: "gt-mark-line" })]),
    ...series.flatMap(({ tone, points, dots }) => [
      svg("polyline", { points: points.map(([a, b]) => `${x(a).toFixed(1)},${y(b).toFixed(1)}`).join(" "), class: `gt-line gt-tone-${tone}` }),
      ...(dots || points.length === 1 ? points.map(([a, b]) => svg("circle", { cx: x(a), cy: y(b), r: 3, class: `gt-dot gt-tone-${tone}` })) : []),
    ]),
  ];
}

function range(values, unit) {
  if (unit) return [0, Math.min(1, Math.max(0.1, Math.ceil(Math.max(...values) * 10 + 0.2) / 10))];
  const high = Math.max(...values);
  return [0, high > 0 ? high * 1.05 : 1];
}

function hint(text, width) {
  return svg("text", { x: width / 2, y: HEIGHT / 2, "text-anchor": "middle", class: "gt-chart-empty" }, text);
}
