/** The stage in its window: as high as there is room, told when it changes size and when it comes back into view. */

const LEAST_HEIGHT_PX = 460;

/**
 * Keep `root` reaching from where it starts to the bottom of the window, and report the size of `view`.
 *
 * @param gap px left free below the stage
 * @param onResize (width, height, devicePixelRatio) of `view`, at once and on every change
 */
export function fillWindow(root, view, { gap = 0, onResize }) {
  const fill = () => {
    if (root.offsetParent === null) return; // in a tab that is not shown
    const top = root.getBoundingClientRect().top + window.scrollY;
    root.style.height = `${Math.max(window.innerHeight - top - gap, LEAST_HEIGHT_PX)}px`;
  };
  const report = () => onResize(view.clientWidth, view.clientHeight, window.devicePixelRatio || 1);
  fill();
  report();
  window.addEventListener("resize", () => { fill(); report(); });
  new ResizeObserver(report).observe(view);
  new ResizeObserver(fill).observe(document.body);
  new IntersectionObserver(fill).observe(root);
}

/** Call `work` each time the element is shown again after it was out of sight (another tab of the page). */
export function onReturn(element, work) {
  let wasAway = false;
  new IntersectionObserver((entries) => {
    const shown = entries.at(-1).isIntersecting;
    if (shown && wasAway) work();
    wasAway = !shown;
  }).observe(element);
}
