/** The Export tab: the dataset as files other tools read, checked before they take their name. */

import { datasets, onDataset } from "./dataset.mjs";
import { busy, field, fill, h, notice, select, setEnabled, whileShown } from "./dom.mjs";
import { count } from "./format.mjs";
import { apiUrl, sendJson } from "./http.mjs";
import { followed } from "./progress.mjs";

const FORMATS = [["coco", "COCO: boxes and masks in one JSON file"]];
const IMAGES = [["copy", "Copy beside the labels"], ["link", "Link to the originals (saves disk)"], ["none", "Labels only"]];
const MASKS = [["rle", "RLE: exact"], ["polygons", "Polygons: outlines, holes are lost"]];

export function mount(element) {
  const what = h("div", { class: "gt-facts" });
  const format = select(FORMATS, "coco");
  const images = select(IMAGES, "copy");
  const masks = select(MASKS, "rle");
  const start = h("button", { class: "gt-button gt-primary", type: "submit", disabled: true }, "Export");
  const said = h("div", { class: "gt-said" });
  const say = (message) => fill(said, message);
  let chosen = null;

  async function refresh() {
    try {
      const before = chosen?.id;
      ({ chosen } = await datasets());
      if (before !== undefined && before !== chosen?.id) say(null);
      setEnabled(start, Boolean(chosen?.images), "There are no images to export yet.");
      fill(what, facts(chosen));
    } catch (error) {
      fill(what, notice("bad", error.message));
    }
  }
  const submit = (event) => {
    event.preventDefault();
    busy(start, say, async () => {
      const choices = { format: format.value, images: images.value, masks: masks.value };
      const { job } = await sendJson(`datasets/${chosen.id}/export`, choices);
      fill(said, report(await followed(job, said, "images")));
    });
  };
  element.replaceChildren(
    h("header", { class: "gt-page-head" }, h("h1", {}, "Export"),
      h("p", {}, "Takes what you drew or accepted. Predictions still waiting for review stay here.")),
    h("form", { class: "gt-card gt-form gt-narrow", onsubmit: submit }, what,
      field("Format", format),
      h("div", { class: "gt-pair" }, field("Images", images), field("Masks", masks)),
      h("div", { class: "gt-row" }, start), said),
  );
  onDataset(refresh);
  whileShown(element, refresh);
}

function facts(dataset) {
  if (!dataset) return notice("plain", "There is no dataset yet: make one on the Data tab.");
  const line = [
    h("h2", { class: "gt-name" }, dataset.name),
    h("p", { class: "gt-quiet" }, [
      count(dataset.images, "image"), count(dataset.annotations, "box", "boxes"), `${dataset.done.toLocaleString("en")} marked done`,
    ].join(" · ")),
  ];
  if (dataset.images === 0) return [...line, notice("plain", "It has no images yet, so there is nothing to export.")];
  if (dataset.pending > 0) {
    const those = `${count(dataset.pending, "prediction")} not reviewed: left out.`;
    return [...line, notice("plain", those)];
  }
  return line;
}

function report(job) {
  if (job.state !== "done") return notice("bad", job.error ?? "Stopped: nothing was written.");
  const { images, annotations, categories, folder, name, skipped = [] } = job.result;
  return [
    notice("good", `${count(images, "image")}, ${count(annotations, "box", "boxes")} and ${count(categories, "category", "categories")} written, read back with pycocotools and counted: equal.`),
    h("div", { class: "gt-path" }, h("code", {}, folder)),
    h("div", { class: "gt-row" }, h("a", { class: "gt-button", href: apiUrl(`exports/${encodeURIComponent(name)}/zip`), download: "" }, "Download as zip")),
    skipped.length > 0 && h("details", { class: "gt-skipped" }, h("summary", {}, `${count(skipped.length, "entry", "entries")} left out`),
      h("ul", {}, skipped.map(({ what, reason }) => h("li", {}, h("b", {}, what), " ", reason)))),
  ];
}
