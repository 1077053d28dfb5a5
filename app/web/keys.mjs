/** The keyboard: one table that the stage obeys and the help shows. */

export const SHORTCUTS = [
  { group: "Review", keys: ["Tab"], shows: "Tab", does: "nextPrediction", text: "Next prediction" },
  { group: "Review", keys: ["Shift+Tab"], shows: "Shift Tab", does: "previousPrediction", text: "Previous prediction" },
  { group: "Review", keys: ["Enter"], shows: "Enter", does: "accept", text: "Accept the prediction, or keep the mask" },
  { group: "Review", keys: ["Backspace", "Delete"], shows: "Backspace", does: "remove", text: "Reject the prediction, or delete the shape" },
  { group: "Review", keys: ["Shift+A"], shows: "Shift A", does: "acceptAll", text: "Accept all predictions shown" },
  { group: "Review", keys: ["D"], shows: "D", does: "done", text: "Done with this image, next one" },
  { group: "Review", keys: ["Shift+D"], shows: "Shift D", does: "toggleDone", text: "Mark done or not done, and stay" },
  { group: "Images", keys: ["ArrowRight", "PageDown"], shows: "→", does: "next", text: "Next image" },
  { group: "Images", keys: ["ArrowLeft", "PageUp"], shows: "←", does: "previous", text: "Previous image" },
  { group: "Tools", keys: ["V"], shows: "V", does: "select", text: "Select, move, resize" },
  { group: "Tools", keys: ["B"], shows: "B", does: "box", text: "Draw boxes" },
  { group: "Tools", keys: ["P"], shows: "P", does: "point", text: "Mask by clicking on an object" },
  { group: "Tools", keys: ["Escape"], shows: "Esc", does: "escape", text: "Drop what is being drawn, deselect" },
  { group: "Edit", keys: ["Ctrl+Z"], shows: "Ctrl Z", does: "undo", text: "Undo" },
  { group: "Edit", keys: ["Ctrl+Shift+Z", "Ctrl+Y"], shows: "Ctrl Shift Z", does: "redo", text: "Redo" },
  { group: "Edit", keys: ["1", "2", "3", "4", "5", "6", "7", "8", "9"], shows: "1 … 9", does: "category", text: "Category of the selection and of the next shape" },
  { group: "Edit", keys: ["Alt+ArrowLeft", "Alt+ArrowRight", "Alt+ArrowUp", "Alt+ArrowDown"], shows: "Alt arrows", does: "nudge", text: "Move the shape by one pixel" },
  { group: "Edit", keys: ["T"], shows: "T", does: "tighten", text: "Fit the box tightly around its object" },
  { group: "View", keys: ["F"], shows: "F", does: "fit", text: "Fit the picture" },
  { group: "View", keys: ["0"], shows: "0", does: "actualSize", text: "100 %" },
  { group: "View", keys: ["+", "="], shows: "+", does: "zoomIn", text: "Zoom in (or the wheel)" },
  { group: "View", keys: ["-"], shows: "−", does: "zoomOut", text: "Zoom out" },
  { group: "View", keys: ["Space"], shows: "Space drag", does: "hold", text: "Move the picture" },
  { group: "View", keys: ["M"], shows: "M", does: "masks", text: "Masks on or off" },
  { group: "View", keys: ["L"], shows: "L", does: "labels", text: "Labels on or off" },
  { group: "View", keys: ["?"], shows: "?", does: "help", text: "These keys" },
];

const BY_KEY = new Map(SHORTCUTS.flatMap((shortcut) => shortcut.keys.map((key) => [key, shortcut])));

export function shortcutFor(event) {
  return BY_KEY.get(keyName(event)) ?? null;
}

/** "Ctrl+Shift+Z", "Tab", "3", "?": the same on every keyboard layout. Cmd counts as Ctrl. */
export function keyName(event) {
  const { key } = event;
  const control = event.ctrlKey || event.metaKey;
  if (["?", "+", "-", "="].includes(key) && !control) return key;
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code ?? "");
  if (digit && !control && !event.altKey) return digit[1]; // layouts on which digits need Shift
  const name = key === " " ? "Space" : key.length === 1 ? key.toUpperCase() : key;
  return `${control ? "Ctrl+" : ""}${event.altKey ? "Alt+" : ""}${event.shiftKey ? "Shift+" : ""}${name}`;
}

const TYPING = new Set(["text", "search", "number", "email", "url", "password", "tel", "date", "time", "color"]);

/** Does the focused element need this key for itself? */
export function takesKey(element, name) {
  const tag = element.tagName;
  const type = (element.type ?? "").toLowerCase();
  if (element.isContentEditable || tag === "TEXTAREA" || tag === "SELECT") return true;
  if (tag === "INPUT" && TYPING.has(type)) return true;
  if (element.getAttribute?.("role") === "radio" && /Arrow/.test(name)) return true;
  if (tag === "INPUT" && type === "range") return /Arrow|Page|Home|End|Tab/.test(name);
  if (tag === "INPUT" || tag === "BUTTON" || tag === "A" || tag === "SUMMARY") return ["Enter", "Space", "Tab", "Shift+Tab"].includes(name);
  return false;
}
