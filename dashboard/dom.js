// Small helpers of the panes. Text from the cluster only ever goes into textContent.

export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// A canvas that fills `parent`; draw(context, width, height) gets CSS pixels.
export class Canvas {
  constructor(parent, draw) {
    this.canvas = element("canvas");
    this.draw = draw;
    parent.append(this.canvas);
    this.context = this.canvas.getContext("2d");
    new ResizeObserver(() => this.redraw()).observe(parent);
  }

  redraw() {
    const { clientWidth: width, clientHeight: height } = this.canvas;
    if (width === 0 || height === 0) return;
    const ratio = window.devicePixelRatio || 1;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (this.canvas.width !== w || this.canvas.height !== h) Object.assign(this.canvas, { width: w, height: h });
    this.context.setTransform(ratio, 0, 0, ratio, 0, 0);
    this.context.clearRect(0, 0, width, height);
    this.context.font = "11px system-ui, sans-serif";
    this.draw(this.context, width, height);
  }
}

// The page's colours, read again when the theme changes.
let theme = null;
export function themeColors() {
  if (!theme) {
    const style = getComputedStyle(document.documentElement);
    theme = Object.fromEntries(["text", "faint", "line", "ground", "accent", "warn", "bad", "spill"].map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    theme.dark = matchMedia("(prefers-color-scheme: dark)").matches;
  }
  return theme;
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => (theme = null));

const tooltip = document.getElementById("tooltip");
export function showTooltip(event, lines) {
  tooltip.replaceChildren(...lines.map((line, i) => element("div", { textContent: line, className: i === 0 ? "head" : "" })));
  tooltip.hidden = false;
  const [w, h] = [tooltip.offsetWidth, tooltip.offsetHeight];
  tooltip.style.left = `${Math.min(event.clientX + 14, innerWidth - w - 8)}px`;
  tooltip.style.top = `${event.clientY + 18 + h > innerHeight ? event.clientY - h - 10 : event.clientY + 18}px`;
}
export function hideTooltip() {
  tooltip.hidden = true;
}
