/** Building the page's elements. Text always goes in as text, never as HTML. */

/**
 * An element: `h("button", { class: "gt-button", onclick: save }, "Save")`.
 * Properties starting with "on" are listeners; null, undefined and false are left out; children may be nested.
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  set(element, properties);
  element.append(...flat(children));
  return element;
}

export function svg(tag, properties = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  set(element, properties);
  element.append(...flat(children));
  return element;
}

function set(element, properties) {
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "value") element.value = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
}

function flat(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

/** Replace what an element holds, unless it would look the same: no flicker, no lost focus or selection. */
export function fill(element, ...children) {
  const next = document.createElement(element.tagName);
  next.append(...flat(children));
  if (next.innerHTML === element.innerHTML) return;
  element.replaceChildren(...next.childNodes);
}

/** Call `show` now that an element is on screen, and each time it comes back to it; `hide` when it leaves. */
export function whileShown(element, show, hide = () => {}) {
  let shown = false;
  new IntersectionObserver((entries) => {
    const visible = entries[entries.length - 1].isIntersecting;
    if (visible === shown) return;
    shown = visible;
    if (visible) show();
    else hide();
  }).observe(element);
}

/** A label over a control, with a line of help under it. */
export function field(label, control, help = null) {
  return h("label", { class: "gt-field" }, h("span", { class: "gt-field-name" }, label), control,
    help && h("span", { class: "gt-help" }, help));
}

/** A select of [value, text] pairs. */
export function select(choices, value, onchange = null) {
  const element = h("select", { class: "gt-input", onchange: onchange ?? undefined },
    choices.map(([choice, text]) => h("option", { value: choice }, text)));
  if (value !== null && value !== undefined) element.value = String(value);
  return element;
}

/** One line that tells how something went: kind is "good", "bad" or "plain". */
export function notice(kind, text) {
  return h("p", { class: `gt-notice gt-${kind}`, role: kind === "bad" ? "alert" : "status" }, text);
}

/** Whether a button can be pressed; one that is busy is freed only when its work has ended. */
export function setEnabled(button, enabled, reason = "") {
  button.dataset.off = enabled ? "" : "off";
  button.title = enabled ? "" : reason;
  button.disabled = !enabled || button.getAttribute("aria-busy") === "true";
}

/** Run what a button does: it can't be pressed meanwhile, and a failure is shown where `say` puts it. */
export async function busy(button, say, work) {
  button.setAttribute("aria-busy", "true");
  button.disabled = true;
  say(null);
  try {
    return await work();
  } catch (error) {
    say(notice("bad", error.message));
    return undefined;
  } finally {
    button.removeAttribute("aria-busy");
    button.disabled = button.dataset.off === "off";
  }
}
