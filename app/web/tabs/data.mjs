/** The Data tab: what datasets there are, making one, and importing images and labels by path. */

import { announceChange, choose, datasets, onDataset } from "./dataset.mjs";
import { busy, field, fill, h, notice, select, whileShown } from "./dom.mjs";
import { count } from "./format.mjs";
import { sendJson } from "./http.mjs";
import { followed } from "./progress.mjs";

const FORMATS = [
  ["auto", "Find out"], ["images", "Images without labels"], ["coco", "COCO (a .json file)"],
  ["voc", "Pascal VOC (a folder)"], ["yolo", "YOLO (a folder or data.yaml)"],
  ["odvg", "ODVG (a .jsonl file)"],
];
const SPLITS = [["", "As the files say, else none"], ["train", "train: to learn from"], ["val", "val: to watch while learning"], ["test", "test: to judge by"]];

export function mount(element) {
  const table = h("div", { class: "gt-card gt-card-flush" });
  element.replaceChildren(
    h("header", { class: "gt-page-head" }, h("h1", {}, "Data"),
      h("p", {}, "Images stay where they are: Groundwork reads them in place and never rewrites a file of yours.")),
    h("div", { class: "gt-columns" }, h("div", {}, h("h2", {}, "Datasets"), table, newDataset(refresh)), importCard(refresh)),
  );
  async function refresh() {
    try {
      const { all, chosen } = await datasets();
      fill(table, all.length ? list(all, chosen) : empty());
    } catch (error) {
      fill(table, notice("bad", error.message));
    }
  }
  onDataset(refresh);
  whileShown(element, refresh);
}

function list(all, chosen) {
  return h("table", { class: "gt-table" },
    h("thead", {}, h("tr", {}, ["Name", "Images", "Done", "Boxes", "To review", ""].map((name, index) =>
      h("th", { class: index && index < 5 ? "gt-number" : null }, name)))),
    h("tbody", {}, all.map((row) => h("tr", { class: row.id === chosen?.id ? "gt-current" : null },
      h("td", { class: "gt-name", title: row.name }, row.name),
      [row.images, row.done, row.annotations, row.pending].map((number) => h("td", { class: "gt-number" }, number.toLocaleString("en"))),
      h("td", { class: "gt-actions" }, row.id === chosen?.id
        ? h("span", { class: "gt-pill" }, "open")
        : h("button", { class: "gt-button gt-small", type: "button", onclick: () => choose(row.id) }, "Open"))))));
}

function empty() {
  return h("p", { class: "gt-empty" }, "No dataset yet. Import a folder of images, or make an empty one and drop images onto the Label tab.");
}

function newDataset(refresh) {
  const name = h("input", { class: "gt-input", type: "text", maxlength: 100, required: true, placeholder: "kangaroos", "aria-label": "Name of the new dataset" });
  const make = h("button", { class: "gt-button", type: "submit" }, "New empty dataset");
  const said = h("div", { class: "gt-said" });
  const say = (message) => fill(said, message);
  const submit = (event) => {
    event.preventDefault();
    busy(make, say, async () => {
      const reply = await sendJson("datasets", { name: name.value });
      name.value = "";
      choose(reply.dataset_id);
      await refresh();
    });
  };
  return h("form", { class: "gt-row gt-under", onsubmit: submit }, name, make, said);
}

function importCard(refresh) {
  const path = h("input", { class: "gt-input", type: "text", required: true, spellcheck: "false", placeholder: "/home/you/pictures" });
  const name = h("input", { class: "gt-input", type: "text", required: true, maxlength: 100, placeholder: "kangaroos", list: "gt-dataset-names" });
  const names = h("datalist", { id: "gt-dataset-names" });
  const format = select(FORMATS, "auto");
  const split = select(SPLITS, "");
  const start = h("button", { class: "gt-button gt-primary", type: "submit" }, "Import");
  const said = h("div", { class: "gt-said" });
  const say = (message) => fill(said, message);
  name.addEventListener("focus", async () => {
    const { all } = await datasets();
    fill(names, all.map((row) => h("option", { value: row.name })));
  });
  const submit = (event) => {
    event.preventDefault();
    busy(start, say, async () => {
      const body = { name: name.value, path: path.value.trim(), format: format.value, split: split.value || null };
      const { job } = await sendJson("datasets/import", body);
      const end = await followed(job, said, "files");
      if (end.result?.dataset_id) announceChange(end.result.dataset_id);
      fill(said, report(end));
      await refresh();
    });
  };
  return h("form", { class: "gt-card gt-form", onsubmit: submit },
    h("h2", {}, "Import"),
    field("Folder or label file on this machine", path),
    field("Into the dataset", name, "A new name makes a new dataset."),
    names,
    h("div", { class: "gt-pair" }, field("Format", format), field("Split", split)),
    h("div", { class: "gt-row" }, start), said);
}

function report(job) {
  if (job.state === "failed") return notice("bad", job.error);
  if (job.state === "stopped") return notice("plain", `Stopped after ${count(job.done, "file")}. What came in until then stays; import again to take in the rest.`);
  const { images = 0, annotations = 0, categories = 0, duplicates = [], clipped = [], known = 0, captions = 0 } = job.result ?? {};
  const skipped = job.skipped ?? [];
  const also = [
    known && `${count(known, "image was", "images were")} there already`,
    duplicates.length && `${count(duplicates.length, "copy", "copies")} of the same picture left out`,
    clipped.length && `${count(clipped.length, "box", "boxes")} cut at the edge of the image`,
  ].filter(Boolean);
  return [
    notice("good", `${count(images, "image")}, ${count(annotations, "box", "boxes")}, ${captions ? `${count(captions, "caption")}, ` : ""}${count(categories, "category", "categories")} imported${also.length ? `; ${also.join(", ")}` : ""}.`),
    skipped.length > 0 && h("details", { class: "gt-skipped", open: skipped.length <= 8 },
      h("summary", {}, `${count(skipped.length, "entry", "entries")} skipped`),
      h("ul", {}, skipped.slice(0, 500).map(({ what, reason }) => h("li", {}, h("b", {}, what), " ", reason)))),
  ];
}
