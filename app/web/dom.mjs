/** Small help with elements. Text always goes in as text: no name or prompt can become markup. */

/** The parts of the constant template by their data-testid. Asking for a missing one is a fault of ours. */
export function partsOf(root) {
  return (name) => {
    const part = root.querySelector(`[data-testid="${name}"]`);
    if (!part) throw new Error(`The stage has no part "${name}".`);
    return part;
  };
}

/** element("button", {class: "x", "aria-label": "Close"}, "text", child) */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** Disabled things say why, in their tooltip. */
export function enable(button, enabled, reason = "") {
  button.disabled = !enabled;
  button.dataset.label ??= button.title;
  button.title = enabled ? button.dataset.label : reason || button.dataset.label;
}

/** Replace the options of a select, keeping what is chosen where it still exists. */
export function fillSelect(select, options, chosen) {
  select.replaceChildren(...options.map(({ value, text }) => {
    const option = element("option", { value });
    option.textContent = text;
    return option;
  }));
  if (chosen !== null && chosen !== undefined) select.value = String(chosen);
}

export function debounced(work, ms) {
  let timer = 0;
  return (...values) => {
    clearTimeout(timer);
    timer = setTimeout(() => work(...values), ms);
  };
}
