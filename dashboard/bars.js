// Horizontal bars on a canvas: one per worker or prefix, as many as there are, thinner when they are many.

import { bytes, count, seconds } from "./format.js";
import { Canvas, hideTooltip, showTooltip, themeColors } from "./dom.js";

const BAR_MAX_PX = 22;
const LABELS_FROM_PX = 13;
const AXIS_PX = 18;
const collator = new Intl.Collator(undefined, { numeric: true });

const byName = (model) => [...model.workers.values()].sort((a, b) => collator.compare(a.name, b.name));
const byValue = (model, value) => [...model.prefixes.values()].filter((p) => !p.gone && value(p) > 0).sort((a, b) => value(b) - value(a));

// parts: lengths in the axis' unit, with colour and opacity, from left to right.
const SHAPES = {
  memory: {
    unit: bytes,
    bars(model) {
      const colors = themeColors();
      return byName(model).map((w) => {
        const share = w.limit ? w.memory / w.limit : 0;
        const color = w.status === "paused" || share > 0.8 ? colors.bad : share > 0.6 ? colors.warn : colors.accent;
        const managed = Math.min(w.managed, w.memory);
        const old = Math.min(w.unmanagedOld, w.memory - managed);
        return {
          label: w.name,
          parts: [[managed, color, 1], [old, color, 0.6], [w.memory - managed - old, color, 0.3], [w.spilled, colors.spill, 0.7]],
          limit: w.limit,
          lines: [`${w.name}: ${bytes(w.memory)}${w.limit ? ` of ${bytes(w.limit)}` : ""}`, `managed ${bytes(w.managed)}`, `unmanaged ${bytes(w.memory - managed)}, of it for long ${bytes(old)}`, `spilled ${bytes(w.spilled)}`, w.address],
        };
      });
    },
  },
  clusterMemory: {
    unit: bytes,
    bars(model) {
      const all = { managed: 0, old: 0, recent: 0 };
      for (const w of model.workers.values()) {
        const managed = Math.min(w.managed, w.memory);
        const old = Math.min(w.unmanagedOld, w.memory - managed);
        all.managed += managed;
        all.old += old;
        all.recent += w.memory - managed - old;
      }
      const { totals } = model;
      const colors = themeColors();
      const parts = [[all.managed, colors.accent, 1], [all.old, colors.accent, 0.6], [all.recent, colors.accent, 0.3], [totals.spilled, colors.spill, 0.7]];
      const lines = [`${bytes(totals.memory)} of ${bytes(totals.memory_limit)}`, `managed ${bytes(all.managed)}`, `unmanaged for long ${bytes(all.old)}`, `unmanaged recent ${bytes(all.recent)}`, `spilled ${bytes(totals.spilled)}`];
      return [{ label: "cluster", parts, limit: totals.memory_limit, lines }];
    },
  },
  cpu: {
    unit: (n) => `${Math.round(n)} %`,
    bars: (model) => byName(model).map((w) => ({ label: w.name, parts: [[w.cpu, themeColors().accent, 0.85]], limit: w.threads * 100, lines: [`${w.name}: ${w.cpu} %`, `${w.threads} threads`, w.address] })),
  },
  processing: {
    unit: count,
    bars: (model) =>
      byName(model).map((w) => ({ label: w.name, parts: [[w.processing, w.processing > w.threads ? themeColors().accent : themeColors().warn, 0.85]], lines: [`${w.name}: ${count(w.processing)} tasks`, `${w.threads} threads`, w.address] })),
  },
  occupancy: {
    unit: seconds,
    bars: (model) => byName(model).map((w) => ({ label: w.name, parts: [[w.occupancy, themeColors().accent, 0.85]], lines: [`${w.name}: ${seconds(w.occupancy)} of expected work`, w.address] })),
  },
  prefixMemory: {
    unit: bytes,
    bars: (model) => byValue(model, (p) => p.nbytes).map((p) => ({ label: p.name, parts: [[p.nbytes, p.color, 1]], lines: [`${p.name}: ${bytes(p.nbytes)}`, `${count(p.counts.memory)} results in memory`] })),
  },
  prefixTime: {
    unit: seconds,
    bars: (model) =>
      byValue(model, (p) => p.compute + p.transfer).map((p) => ({
        label: p.name,
        parts: [[p.compute, p.color, 1], [p.transfer, "#e5352b", 0.55]],
        lines: [`${p.name}: ${seconds(p.compute)} of compute`, `${seconds(p.transfer)} of transfer`, `average ${seconds(p.duration)}`],
      })),
  },
};

export const barsOf = (shape) => (body) => {
  let model = null;
  let drawn = { bars: [], height: 0 };
  const canvas = new Canvas(body, (g, width, height) => {
    if (model) drawn = draw(g, width, height, SHAPES[shape], SHAPES[shape].bars(model));
  });
  canvas.canvas.onpointermove = (event) => {
    const y = event.clientY - canvas.canvas.getBoundingClientRect().top;
    const bar = drawn.bars[Math.floor(y / drawn.height)];
    if (bar) showTooltip(event, bar.lines);
    else hideTooltip();
  };
  canvas.canvas.onpointerleave = hideTooltip;
  return {
    update(m) {
      model = m;
      canvas.redraw();
    },
  };
};

function draw(g, width, height, { unit }, bars) {
  const colors = themeColors();
  const barHeight = Math.min((height - AXIS_PX) / Math.max(bars.length, 1), BAR_MAX_PX);
  const labelled = barHeight >= LABELS_FROM_PX;
  const labelWidth = labelled ? Math.min(Math.max(...bars.map((bar) => g.measureText(bar.label).width), 20), width * 0.3) + 16 : 8;
  const total = (bar) => bar.parts.reduce((sum, [length]) => sum + length, 0);
  const longest = bars.reduce((most, bar) => Math.max(most, total(bar), bar.limit ?? 0), 0);
  const room = width - labelWidth - 12;
  g.textBaseline = "middle";
  drawTicks(g, labelWidth, room, height, longest, unit, colors);
  bars.forEach((bar, i) => {
    const y = i * barHeight;
    const gap = barHeight > 4 ? 1.5 : 0;
    let x = labelWidth;
    for (const [length, color, alpha] of bar.parts) {
      const w = longest ? (length / longest) * room : 0;
      g.globalAlpha = alpha;
      g.fillStyle = color;
      g.fillRect(x, y + gap, w, Math.max(barHeight - 2 * gap, 0.7));
      x += w;
    }
    g.globalAlpha = 1;
    if (bar.limit && barHeight > 4) {
      g.fillStyle = colors.faint;
      g.fillRect(labelWidth + (bar.limit / longest) * room, y + gap, 1, barHeight - 2 * gap);
    }
    if (!labelled) return;
    g.fillStyle = colors.text;
    g.textAlign = "right";
    g.fillText(shorten(g, bar.label, labelWidth - 14), labelWidth - 6, y + barHeight / 2);
  });
  if (bars.length === 0) {
    g.fillStyle = colors.faint;
    g.textAlign = "center";
    g.fillText("Nothing to show.", width / 2, Math.min(height / 2, 40));
  }
  return { bars, height: barHeight };
}

function shorten(g, text, width) {
  if (g.measureText(text).width <= width) return text;
  let n = text.length;
  while (n > 1 && g.measureText(`${text.slice(0, n)}…`).width > width) n--;
  return `${text.slice(0, n)}…`;
}

function drawTicks(g, left, room, height, longest, unit, colors) {
  if (!longest) return;
  const ticks = Math.min(Math.max(Math.floor(room / 70), 1), 5);
  const step = niceStep(longest / ticks, unit === bytes);
  for (let value = 0; value <= longest * 1.0001; value += step) {
    const x = Math.round(left + (room * value) / longest) + 0.5;
    g.fillStyle = colors.line;
    g.fillRect(x, 0, 1, height - AXIS_PX);
    g.fillStyle = colors.faint;
    g.textAlign = value === 0 ? "left" : x > left + room - 20 ? "right" : "center";
    g.fillText(unit(value), x, height - AXIS_PX / 2);
  }
}

// The smallest round distance of ticks that is no smaller than `rough`; bytes are round in powers of two.
function niceStep(rough, isBytes) {
  if (isBytes) return 2 ** Math.ceil(Math.log2(rough));
  const power = 10 ** Math.floor(Math.log10(rough));
  return [1, 2, 5, 10].map((m) => m * power).find((step) => step >= rough * 0.999);
}
