// The task stream: a row per worker thread, a rectangle per activity. It follows the present while work goes on and stays
// where the work ended. Wheel: zoom; drag: move; double click: back to the present.

import { clock, seconds } from "./format.js";
import { Canvas, element, hideTooltip, showTooltip, themeColors } from "./dom.js";

const SPANS_S = [10, 30, 60];
const SPAN_MIN_S = 0.02;
const FRAME_MS = 50; // or longer, so that drawing takes at most DRAWING_SHARE of the time
const DRAWING_SHARE = 0.15;
const AXIS_PX = 18;
const ROW_MAX_PX = 60;
const OVERLAYS = { transfer: "#e5352b", "disk-read": "#f39c12", "disk-write": "#f39c12", deserialize: "#8a8f98" };

export function taskStream(body, tools, note) {
  const view = { span: 30, right: null, model: null }; // right: null follows the present
  const buttons = SPANS_S.map((span) => element("button", { textContent: `${span} s`, onclick: () => follow(span) }));
  const hold = element("button", { textContent: "hold", onclick: () => (view.right === null ? ((view.right = rightEdge()), refresh()) : follow(view.span)) });
  tools.append(...buttons, hold);
  const canvas = new Canvas(body, draw);
  let lastFrame = 0;
  let pause = FRAME_MS;
  let lastEdge = 0;
  let changed = true;

  function refresh() {
    changed = true;
    buttons.forEach((button, i) => button.classList.toggle("on", view.right === null && SPANS_S[i] === view.span));
    hold.classList.toggle("on", view.right !== null);
  }
  function follow(span) {
    Object.assign(view, { span, right: null });
    refresh();
  }
  function rightEdge() {
    const { model } = view;
    if (view.right !== null) return view.right;
    const now = model.now();
    return model.totals.processing > 0 || !model.stream.lastStop ? now : Math.min(now, model.stream.lastStop + view.span * 0.03);
  }

  function draw(g, width, height) {
    const { model } = view;
    if (!model) return;
    const right = rightEdge();
    const left = right - view.span;
    const scale = width / view.span;
    const shown = model.stream.rectangles.filter((r) => r.stop >= left && r.start <= right);
    const rows = orderRows(model, shown);
    const rowHeight = (height - AXIS_PX) / Math.max(rows, 1);
    const inner = Math.max(Math.min(rowHeight * 0.86, ROW_MAX_PX), Math.min(rowHeight, 1));
    const colors = themeColors();
    drawAxis(g, width, height, left, right, colors);
    // Overlays come last, so that a long transfer does not hide under its task.
    for (const overlays of [false, true]) {
      for (const r of shown) {
        const overlay = OVERLAYS[r.action];
        if ((overlay !== undefined) !== overlays) continue;
        const x = (r.start - left) * scale;
        const y = r.row.y * rowHeight + (rowHeight - inner) / 2;
        const w = Math.max((r.stop - r.start) * scale, 1);
        g.globalAlpha = overlays ? 0.55 : 1;
        g.fillStyle = overlay ?? (r.erred ? "#000" : r.color);
        g.fillRect(x, y, w, inner);
        if (r.erred && !overlay && w > 3 && inner > 3) {
          g.strokeStyle = colors.bad;
          g.strokeRect(x + 0.5, y + 0.5, w - 1, inner - 1);
        }
      }
    }
    g.globalAlpha = 1;
    if (shown.length === 0) {
      g.fillStyle = colors.faint;
      g.textAlign = "center";
      g.fillText(model.stream.rectangles.length ? "No task ended in this window." : "No task has ended yet.", width / 2, height / 2);
    }
    view.drawn = { left, scale, rowHeight, shown };
    note.textContent = model.stream.leftOut ? `the ${model.stream.leftOut} shortest tasks of the last update are left out` : "";
  }

  const at = (event) => {
    const box = canvas.canvas.getBoundingClientRect();
    const { left, scale, rowHeight, shown } = view.drawn;
    const time = left + (event.clientX - box.left) / scale;
    const slack = 1.5 / scale;
    const y = Math.floor((event.clientY - box.top) / rowHeight);
    return shown.findLast((r) => r.row.y === y && r.start - slack <= time && time <= r.stop + slack);
  };
  let drag = null;
  canvas.canvas.onpointerdown = (event) => {
    drag = { x: event.clientX, right: rightEdge(), moved: false };
    canvas.canvas.setPointerCapture(event.pointerId);
  };
  canvas.canvas.onpointermove = (event) => {
    if (!view.drawn) return;
    if (drag && Math.abs(event.clientX - drag.x) > 3) drag.moved = true;
    if (drag?.moved) {
      view.right = drag.right - (event.clientX - drag.x) / view.drawn.scale;
      hideTooltip();
      return refresh();
    }
    const r = at(event);
    canvas.canvas.style.cursor = r ? "pointer" : "default";
    if (!r) return hideTooltip();
    const worker = view.model.byAddress.get(r.row.worker);
    const what = r.action === "compute" ? (r.erred ? "failed" : "compute") : r.action;
    showTooltip(event, [r.key, `${what}: ${seconds(r.stop - r.start)}, from ${clock(r.start)}`, `worker ${worker?.name ?? r.row.worker}, thread ${r.row.thread}`]);
  };
  canvas.canvas.onpointerup = (event) => {
    const r = !drag?.moved && view.drawn && at(event);
    drag = null;
    if (r) open(`info/task/${encodeURIComponent(r.key)}.html`, "_blank", "noopener");
  };
  canvas.canvas.onpointerleave = hideTooltip;
  canvas.canvas.ondblclick = () => follow(30);
  canvas.canvas.addEventListener(
    "wheel",
    (event) => {
      if (!view.drawn) return;
      event.preventDefault();
      const box = canvas.canvas.getBoundingClientRect();
      const share = (event.clientX - box.left) / box.width;
      const time = view.drawn.left + share * view.span;
      view.span = Math.min(Math.max(view.span * 1.002 ** event.deltaY, SPAN_MIN_S), 60);
      view.right = time + (1 - share) * view.span;
      refresh();
    },
    { passive: false },
  );

  function frame(time) {
    requestAnimationFrame(frame);
    if (!view.model || time - lastFrame < pause) return;
    const edge = rightEdge();
    if (!changed && edge === lastEdge) return;
    lastFrame = time;
    lastEdge = edge;
    changed = false;
    const before = performance.now();
    canvas.redraw();
    pause = Math.max(FRAME_MS, (performance.now() - before) / DRAWING_SHARE);
  }
  requestAnimationFrame(frame);
  refresh();
  return {
    update(model) {
      view.model = model;
      changed = true;
    },
  };
}

// Gives the rows that have rectangles in view their places, sorted by worker, and returns how many there are.
function orderRows(model, shown) {
  const rows = [...new Set(shown.map((r) => r.row))];
  const name = (row) => String(model.byAddress.get(row.worker)?.name ?? row.worker);
  const names = new Map(rows.map((row) => [row, name(row)]));
  const collator = new Intl.Collator(undefined, { numeric: true });
  rows.sort((a, b) => collator.compare(names.get(a), names.get(b)) || collator.compare(a.worker, b.worker) || collator.compare(a.thread, b.thread));
  rows.forEach((row, y) => (row.y = y));
  return rows.length;
}

function drawAxis(g, width, height, left, right, colors) {
  const step = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20].find((s) => (s / (right - left)) * width > 80) ?? 20;
  g.strokeStyle = colors.line;
  g.fillStyle = colors.faint;
  g.textAlign = "center";
  g.lineWidth = 1;
  for (let t = Math.ceil(left / step) * step; t <= right; t += step) {
    const x = Math.round(((t - left) / (right - left)) * width) + 0.5;
    g.beginPath();
    g.moveTo(x, 0);
    g.lineTo(x, height - AXIS_PX);
    g.stroke();
    const label = step < 1 ? `${clock(t)}${(t % 1).toFixed(3).slice(1)}` : clock(t);
    g.fillText(label, Math.min(Math.max(x, 40), width - 40), height - 5);
  }
}
