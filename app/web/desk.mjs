/**
 * The desk: canvases, viewport, pointer and the tool in hand. It shows the session's image and turns
 * pointer events into image coordinates for the tool; what a gesture means is up to `actions`.
 */

import { HitGrid } from "./hittest.mjs";
import { paintMasks, shrinkOf } from "./maskpaint.mjs";
import { Renderer } from "./renderer.mjs";
import { labelOf, sceneOf } from "./scene.mjs";
import { listed } from "./shapes.mjs";
import { BoxTool } from "./tools/box.mjs";
import { PointTool } from "./tools/point.mjs";
import { SelectTool } from "./tools/select.mjs";
import * as viewports from "./viewport.mjs";

const WHEEL_SPEED = 0.0016;
const HIT_REACH_PX = 3;

export class Desk {
  viewport = viewports.IDENTITY;
  view = { width: 1, height: 1 };
  shapes = [];
  image = null; // {id, width, height, ...} as soon as it is known
  bitmap = null;
  selectedKey = null;
  hoverKey = null;
  spaceHeld = false;
  actions = null; // set by mount: the two know each other
  #pan = null;
  #lifted = null;
  #pointer = null;
  #dirty = { base: false, over: false };
  #fits = true; // the picture is fitted until the person zooms or pans
  #masks = { key: [], canvas: null };

  constructor({ base, over, session, settings, api, say, onView = () => {}, onSelect = () => {} }) {
    Object.assign(this, { over, session, settings, api, say, onView, onSelect });
    this.renderer = new Renderer(base, over);
    this.tools = { select: new SelectTool(this), box: new BoxTool(this), point: new PointTool(this) };
    this.tool = this.tools.select;
    this.scene = sceneOf([], []);
    this.grid = new HitGrid([], { width: 1, height: 1 });
    this.#listen();
  }

  // --- what is shown -------------------------------------------------------------------------------

  /** Another image (or none). Its size may be known before its shapes and its pixels. */
  show(image) {
    this.tool.cancel();
    this.image = image;
    this.bitmap = null;
    this.#pan = null;
    this.#lifted = null;
    this.hoverKey = null;
    this.#fits = true;
    if (image) this.#setViewport(viewports.fitted(image, this.view));
    this.select(null);
    this.update();
  }

  setBitmap(bitmap) {
    this.bitmap = bitmap;
    this.redraw();
  }

  /** The shapes, their categories or what is shown of them have changed. */
  update() {
    const { state } = this.session;
    this.shapes = listed(state, this.settings);
    if (this.image) this.grid = new HitGrid(this.shapes, this.image);
    if (this.selectedKey && !this.selected) this.select(null);
    this.#compose();
  }

  #compose() {
    this.scene = sceneOf(this.shapes, this.session.state.categories, { without: this.#lifted });
    this.#repaintMasks();
    this.redraw();
  }

  #repaintMasks() {
    const shown = this.settings.masksShown && this.image ? this.scene.masks : [];
    const key = shown.flatMap(({ mask, color, faint }) => [mask, color, faint]);
    const same = key.length === this.#masks.key.length && key.every((part, index) => part === this.#masks.key[index]);
    if (same) return;
    this.#masks = { key, canvas: shown.length ? this.#painted(shown) : null };
  }

  #painted(masks) {
    const shrink = shrinkOf(this.image);
    const canvas = document.createElement("canvas");
    canvas.width = Math.ceil(this.image.width / shrink);
    canvas.height = Math.ceil(this.image.height / shrink);
    const context = canvas.getContext("2d");
    const pixels = context.createImageData(canvas.width, canvas.height);
    paintMasks(masks, this.image, pixels.data);
    context.putImageData(pixels, 0, 0);
    return canvas;
  }

  paintedMask(mask, color) {
    return this.#painted([{ mask, color, faint: false }]);
  }

  // --- selection -----------------------------------------------------------------------------------

  get selected() {
    return this.shapes.find((shape) => shape.key === this.selectedKey) ?? null;
  }

  select(key, { reveal = false } = {}) {
    this.selectedKey = key;
    if (reveal && this.selected) this.#reveal(this.selected.xyxy);
    this.redrawOverlay();
    this.onSelect();
  }

  /** Pan just enough that the box is in view; no motion when it already is. */
  #reveal(box) {
    const [x1, y1, x2, y2] = viewports.boxToScreen(this.viewport, box);
    const slide = (low, high, room) => {
      if (high - low > room || (low < 0 && high > room)) return 0;
      return low < 0 ? 24 - low : high > room ? room - 24 - high : 0;
    };
    const [dx, dy] = [slide(x1, x2, this.view.width), slide(y1, y2, this.view.height)];
    if (dx || dy) this.pan(dx, dy);
  }

  /** Take a shape off the base layer while it is dragged; null puts it back. */
  lift(key) {
    if (this.#lifted === key) return;
    this.#lifted = key;
    this.#compose();
  }

  hit(x, y) {
    return this.grid.top(x, y, HIT_REACH_PX / this.scale);
  }

  hitAll(x, y) {
    return this.grid.all(x, y, HIT_REACH_PX / this.scale);
  }

  // --- what tools ask ------------------------------------------------------------------------------

  get scale() {
    return this.viewport.scale;
  }

  colourOf(categoryId) {
    return this.#category(categoryId)?.color ?? "#8a8f98";
  }

  drawingCategory() {
    return this.actions.drawingCategory();
  }

  drawingColour() {
    return this.colourOf(this.settings.categoryId);
  }

  segment(request, signal) {
    return this.api.segment(this.image.id, request, signal);
  }

  #category(id) {
    return this.session.state.categories.find((category) => category.id === id);
  }

  setTool(name) {
    if (this.tool.name === name) return;
    this.tool.cancel();
    this.tool = this.tools[name];
    this.#updateCursor();
    this.redrawOverlay();
    this.onView();
  }

  // --- viewport ------------------------------------------------------------------------------------

  fit() {
    if (!this.image) return;
    this.#fits = true;
    this.#setViewport(viewports.fitted(this.image, this.view));
  }

  /** One image pixel per CSS pixel, about the middle of the view. */
  actualSize() {
    this.zoom(1 / this.scale);
  }

  zoom(factor, sx = this.view.width / 2, sy = this.view.height / 2) {
    if (!this.image) return;
    this.#fits = false;
    this.#setViewport(viewports.zoomedAt(this.viewport, factor, sx, sy, this.image, this.view));
  }

  pan(dx, dy) {
    if (!this.image) return;
    this.#fits = false;
    this.#setViewport(viewports.panned(this.viewport, dx, dy, this.image, this.view));
  }

  startPan(at) {
    this.#pan = { sx: at.sx, sy: at.sy };
    this.#updateCursor();
  }

  #setViewport(viewport) {
    this.viewport = viewport;
    this.redraw();
    this.onView();
  }

  resize(width, height, dpr) {
    if (width < 1 || height < 1) return;
    this.view = { width, height };
    this.renderer.resize(width, height, dpr);
    if (this.image) {
      this.#setViewport(this.#fits ? viewports.fitted(this.image, this.view) : viewports.kept(this.viewport, this.image, this.view));
    }
    this.drawNow(); // a resized canvas is blank: waiting for the next frame would flash
  }

  // --- pointer -------------------------------------------------------------------------------------

  #listen() {
    const { over } = this;
    over.addEventListener("pointerdown", (event) => this.#down(event));
    over.addEventListener("pointermove", (event) => this.#move(event));
    over.addEventListener("pointerup", (event) => this.#up(event));
    over.addEventListener("pointercancel", () => this.#stop());
    over.addEventListener("pointerleave", () => this.#left());
    over.addEventListener("contextmenu", (event) => event.preventDefault());
    over.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  #at(event) {
    const frame = this.over.getBoundingClientRect();
    const [sx, sy] = [event.clientX - frame.left, event.clientY - frame.top];
    const [x, y] = viewports.toImage(this.viewport, sx, sy);
    return { x, y, sx, sy };
  }

  #down(event) {
    this.over.focus({ preventScroll: true });
    if (!this.image) return;
    event.preventDefault();
    this.over.setPointerCapture(event.pointerId);
    const at = this.#at(event);
    if (event.button === 1 || (event.button === 0 && this.spaceHeld)) this.startPan(at);
    else if (this.session.ready && (event.button === 0 || (event.button === 2 && this.tool.name === "point"))) this.tool.down(at, event);
  }

  #move(event) {
    if (!this.image) return;
    const at = this.#at(event);
    this.#pointer = at;
    if (this.#pan) {
      this.pan(at.sx - this.#pan.sx, at.sy - this.#pan.sy);
      this.#pan = { sx: at.sx, sy: at.sy };
      return;
    }
    this.tool.move(at, event);
    const hover = event.buttons ? null : this.hit(at.x, at.y)?.key ?? null;
    if (hover !== this.hoverKey || this.tool.crosshair) {
      this.hoverKey = hover;
      this.redrawOverlay();
    }
    this.#updateCursor();
  }

  #up(event) {
    if (this.#pan) this.#pan = null;
    else if (this.image && this.session.ready && event.button !== 1) this.tool.up(this.#at(event), event);
    this.#updateCursor();
  }

  #stop() {
    this.#pan = null;
    this.tool.cancel();
  }

  #left() {
    this.#pointer = null;
    this.hoverKey = null;
    this.redrawOverlay();
  }

  #wheel(event) {
    event.preventDefault();
    if (!this.image) return;
    const at = this.#at(event);
    const lines = event.deltaMode === 1 ? 16 : event.deltaMode === 2 ? 400 : 1;
    if (event.shiftKey) this.pan(-(event.deltaY || event.deltaX) * lines, 0);
    else this.zoom(Math.exp(-event.deltaY * lines * WHEEL_SPEED), at.sx, at.sy);
  }

  holdSpace(held) {
    this.spaceHeld = held;
    this.#updateCursor();
  }

  #updateCursor() {
    let cursor = "default";
    if (this.#pan) cursor = "grabbing";
    else if (this.spaceHeld) cursor = "grab";
    else if (this.image && this.#pointer) cursor = this.tool.cursor(this.#pointer);
    this.over.style.cursor = cursor;
  }

  // --- drawing -------------------------------------------------------------------------------------

  redraw() {
    this.#dirty.base = true;
    this.redrawOverlay();
  }

  redrawOverlay() {
    const scheduled = this.#dirty.over;
    this.#dirty.over = true;
    if (!scheduled) requestAnimationFrame(() => this.drawNow());
  }

  drawNow() {
    const { viewport, image, bitmap, scene } = this;
    if (this.#dirty.base) {
      this.renderer.drawBase({ viewport, image, bitmap, scene, maskCanvas: this.#masks.canvas, labels: this.settings.labelsShown });
    }
    this.#drawOverlay(viewport, image);
    this.#dirty = { base: false, over: false };
  }

  #drawOverlay(viewport, image) {
    const { draft } = this.tool;
    const emphasised = (key) => {
      const shape = key && key !== this.#lifted ? this.shapes.find((one) => one.key === key) : null;
      return shape && { box: shape.xyxy, color: this.colourOf(shape.category_id), predicted: shape.kind === "prediction", shape };
    };
    const selected = emphasised(this.selectedKey);
    if (selected) {
      const entry = this.scene.labels.find((label) => label.box === selected.box);
      selected.label = this.settings.labelsShown && entry ? { ...entry, text: labelOf(selected.shape, this.#category(selected.shape.category_id)), predicted: false } : null;
    }
    const hover = this.hoverKey !== this.selectedKey && !draft ? emphasised(this.hoverKey) : null;
    const crosshair = this.tool.crosshair && this.#pointer && !this.#pan ? [this.#pointer.sx, this.#pointer.sy] : null;
    this.renderer.drawOverlay({ viewport, image, selected, hover, draft, crosshair });
  }
}
