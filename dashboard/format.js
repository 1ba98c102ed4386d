// Numbers as people read them, in Dask's units, and colours of prefixes.

export function bytes(n) {
  for (const [unit, size] of [["PiB", 2 ** 50], ["TiB", 2 ** 40], ["GiB", 2 ** 30], ["MiB", 2 ** 20], ["kiB", 2 ** 10]]) {
    if (n >= size * 0.9) return `${(n / size).toFixed(n / size < 10 ? 2 : n / size < 100 ? 1 : 0)} ${unit}`;
  }
  return `${Math.round(n)} B`;
}

export function seconds(s) {
  if (s === null || s < 0) return "–";
  if (s === 0) return "0 s";
  if (s < 1e-3) return `${(s * 1e6).toFixed(0)} µs`;
  if (s < 1) return `${(s * 1e3).toFixed(s < 0.01 ? 2 : 0)} ms`;
  if (s < 120) return `${s.toFixed(s < 10 ? 2 : 1)} s`;
  if (s < 7200) return `${Math.round(s / 60)} min`;
  return `${(s / 3600).toFixed(1)} h`;
}

export function count(n) {
  return Math.round(n).toLocaleString("en-US").replaceAll(",", "\u202f");
}

export function clock(time) {
  return new Date(time * 1000).toLocaleTimeString([], { hour12: false });
}

// Colours that stay apart on a light and on a dark ground; red and black are kept for transfers and failures.
const PALETTE = [
  "#4e79a7", "#f0a13a", "#59a14f", "#b07aa1", "#3aa7a3", "#d9bf3f", "#8a6fd1", "#9c755f", "#6fb4e0", "#8cc63f",
  "#e58fb1", "#5254a3", "#b6992d", "#2fbf9b", "#c08bdc", "#7d8597",
];
const assigned = new Map();
const used = new Set();

// The same name has the same colour in every page, unless another name of this page has taken it.
export function colorOf(name) {
  let color = assigned.get(name);
  if (color) return color;
  let hash = 2166136261;
  for (let i = 0; i < name.length; i++) hash = Math.imul(hash ^ name.charCodeAt(i), 16777619) >>> 0;
  let at = hash % PALETTE.length;
  for (let i = 0; i < PALETTE.length && used.has(PALETTE[at]); i++) at = (at + 1) % PALETTE.length;
  color = PALETTE[at];
  assigned.set(name, color);
  used.add(color);
  if (used.size === PALETTE.length) used.clear();
  return color;
}
