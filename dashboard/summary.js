// The cards at the top: the cluster in eight numbers, three of them with their last minutes behind.

import { bytes, count, seconds } from "./format.js";
import { Canvas, element, setText, themeColors } from "./dom.js";

const CARDS = [
  { name: "Workers", value: (m) => count(m.totals.workers), detail: (m) => `${count(m.totals.idle)} idle · ${count(m.totals.saturated)} saturated` },
  { name: "Threads", value: (m) => count(m.totals.threads), detail: (m) => `${count(m.totals.desired_workers)} workers desired` },
  { name: "CPU", value: (m) => `${count(m.totals.cpu)} %`, detail: (m) => `of ${count(m.totals.threads * 100)} %`, history: (h) => h.cpu, top: (m) => m.totals.threads * 100 },
  {
    name: "Memory", value: (m) => bytes(m.totals.memory), history: (h) => h.memory, top: (m) => m.totals.memory_limit,
    detail: (m) => `${m.totals.memory_limit ? `of ${bytes(m.totals.memory_limit)} · ` : ""}${bytes(m.totals.nbytes)} managed${m.totals.spilled ? ` · ${bytes(m.totals.spilled)} spilled` : ""}`,
  },
  { name: "Tasks", value: (m) => count(m.totals.tasks), detail: (m) => `${count(m.tasks.memory)} in memory · ${count(m.tasks.erred)} erred` },
  { name: "Processing", value: (m) => count(m.totals.processing), detail: (m) => `${count(m.tasks.queued)} queued · ${count(m.tasks.waiting)} waiting · ${count(m.tasks["no-worker"])} without worker` },
  { name: "Finished per second", value: (m) => count(m.history.at(-1).tasksPerSecond), detail: (m) => `${count(m.totals.transitions)} transitions`, history: (h) => h.tasksPerSecond },
  { name: "Work given out", value: (m) => seconds(m.totals.occupancy), detail: () => "expected thread time" },
];

export function summary(root) {
  root.className = "summary";
  const cards = CARDS.map((card) => {
    const value = element("div", { className: "value", textContent: "–" });
    const detail = element("div", { className: "detail" });
    const box = element("div", { className: "card" }, element("div", { className: "name", textContent: card.name }), value, detail);
    root.append(box);
    let model = null;
    const canvas = card.history && new Canvas(box, (g, width, height) => model && drawHistory(g, width, height, model.history.map(card.history), card.top?.(model)));
    return (m) => {
      model = m;
      setText(value, card.value(m));
      setText(detail, card.detail(m));
      detail.title = detail.textContent;
      canvas?.redraw();
    };
  });
  return { update: (model) => cards.forEach((update) => update(model)) };
}

function drawHistory(g, width, height, values, top) {
  const highest = Math.max(top || 0, ...values) || 1;
  const step = width / Math.max(values.length - 1, 60);
  g.beginPath();
  g.moveTo(width, height);
  values.forEach((_, i) => g.lineTo(width - i * step, height - (values[values.length - 1 - i] / highest) * (height - 2)));
  g.lineTo(width - (values.length - 1) * step, height);
  g.fillStyle = themeColors().accent;
  g.fill();
}
