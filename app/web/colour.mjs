/** Category colours: '#rrggbb' in, parts and readable ink out. */

const GREY = [128, 128, 128];

/** [r, g, b], 0 to 255; grey when the text is no colour. */
export function channels(hex) {
  const found = /^#([0-9a-f]{2})([0-9a-f]{2})([0-9a-f]{2})$/i.exec(hex ?? "");
  return found ? found.slice(1).map((part) => parseInt(part, 16)) : GREY;
}

export function withAlpha(hex, alpha) {
  return `rgba(${channels(hex).join(", ")}, ${alpha})`;
}

/** Black or white, whichever reads better on the colour (WCAG relative luminance). */
export function inkOn(hex) {
  const [r, g, b] = channels(hex).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.25 ? "#0b0c0e" : "#ffffff";
}
