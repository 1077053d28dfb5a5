/** `window.groundwork`: a read-only view of the stage for browser tests and curious people. */

import { boxToScreen, toImage, toScreen } from "./viewport.mjs";

export function exposeDebug(desk, session, outbox, target = globalThis) {
  const frame = () => desk.over.getBoundingClientRect();
  const view = {
    /** Everything shown, with `client`: its box in page coordinates, ready for a mouse. */
    shapes: () => desk.shapes.map((shape) => {
      const { left, top } = frame();
      const [x1, y1, x2, y2] = boxToScreen(desk.viewport, shape.xyxy);
      const category = session.state.categories.find((one) => one.id === shape.category_id)?.name ?? null;
      return {
        key: shape.key, kind: shape.kind, id: shape.id, category_id: shape.category_id, category,
        xyxy: [...shape.xyxy], score: shape.score, source: shape.source ?? null, has_mask: Boolean(shape.mask),
        client: [x1 + left, y1 + top, x2 + left, y2 + top],
      };
    }),
    viewport: () => {
      const { left, top, width, height } = frame();
      return { ...desk.viewport, left, top, width, height, dpr: devicePixelRatio };
    },
    selection: () => desk.selectedKey,
    imageId: () => session.imageId,
    image: () => (desk.image ? { ...desk.image } : null),
    ready: () => session.ready && desk.bitmap !== null,
    unsent: () => outbox.unsent,
    tool: () => desk.tool.name,
    /** Image point -> page point, and back. */
    toClient: (x, y) => {
      const { left, top } = frame();
      const [sx, sy] = toScreen(desk.viewport, x, y);
      return [sx + left, sy + top];
    },
    toImage: (clientX, clientY) => {
      const { left, top } = frame();
      return toImage(desk.viewport, clientX - left, clientY - top);
    },
    /** Milliseconds to redraw everything once: what tests/benchmarks/canvas_frames.py measures. */
    frameMs: () => {
      const start = performance.now();
      desk.redraw();
      desk.drawNow();
      desk.renderer.base.getImageData(0, 0, 1, 1); // waits until it is really drawn
      return performance.now() - start;
    },
  };
  Object.defineProperty(target, "groundwork", { value: Object.freeze(view), configurable: true });
}
