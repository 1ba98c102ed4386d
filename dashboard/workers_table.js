// The table of workers: sorted by any column, filtered by text; only the rows in view are in the document, so that thousands
// of workers cost no more than twenty.

import { bytes, count, seconds } from "./format.js";
import { element, setText } from "./dom.js";

const ROW_PX = 26;
const collator = new Intl.Collator(undefined, { numeric: true });
const COLUMNS = [
  ["Address", "address"], ["Name", "name"], ["Status", "status"], ["Threads", "threads"], ["CPU", "cpu"], ["Memory", "memory"],
  ["Spilled", "spilled"], ["Processing", "processing"], ["In memory", "held"], ["Occupancy", "occupancy"], ["Seen", "lastSeen"],
];

export function workersTable(body, tools) {
  let model = null;
  let sort = { by: "name", descending: false };
  const filter = element("input", { type: "search", placeholder: "filter by name or address", oninput: () => render() });
  tools.append(filter);
  const heads = COLUMNS.map(([title, field], i) => element("span", { className: i > 2 && i !== 4 && i !== 5 ? "n" : "", onclick: () => sortBy(field) }, title));
  const head = element("div", { className: "head" }, ...heads);
  const rows = element("div", { className: "rows" });
  const empty = element("div", { className: "empty", textContent: "No workers." });
  const scroller = element("div", { className: "table" }, head, rows, empty);
  body.append(scroller);
  const pane = body.parentElement;
  scroller.addEventListener("scroll", () => render());
  new ResizeObserver(() => render()).observe(scroller);
  const pool = [];

  function sortBy(field) {
    sort = { by: field, descending: sort.by === field ? !sort.descending : typeof [...model.workers.values()][0]?.[field] === "number" };
    render();
  }

  function render() {
    if (!model) return;
    const wanted = filter.value.trim().toLowerCase();
    const workers = [...model.workers.values()].filter((w) => !wanted || w.name.toLowerCase().includes(wanted) || w.address.includes(wanted));
    const sign = sort.descending ? -1 : 1;
    workers.sort((a, b) => sign * (typeof a[sort.by] === "number" ? a[sort.by] - b[sort.by] : collator.compare(a[sort.by], b[sort.by])) || a.id - b.id);
    COLUMNS.forEach(([title, field], i) => setText(heads[i], title + (sort.by === field ? (sort.descending ? " ▾" : " ▴") : "")));
    rows.style.height = `${workers.length * ROW_PX}px`;
    // A small cluster needs no tall pane.
    pane.style.maxHeight = document.body.classList.contains("single") ? "" : `${Math.max(workers.length * ROW_PX, ROW_PX) + 80}px`;
    empty.hidden = workers.length > 0;
    const first = Math.max(Math.floor((scroller.scrollTop - ROW_PX) / ROW_PX), 0);
    const visible = workers.slice(first, first + Math.ceil(scroller.clientHeight / ROW_PX) + 2);
    while (pool.length < visible.length) pool.push(new Row(rows));
    pool.forEach((row, i) => row.show(visible[i], (first + i) * ROW_PX, model));
  }
  return {
    update(m) {
      model = m;
      render();
    },
  };
}

class Row {
  constructor(parent) {
    this.link = element("a");
    this.name = element("span");
    this.status = element("span");
    this.threads = element("span", { className: "n" });
    this.cpu = meter();
    this.memory = meter();
    this.numbers = ["spilled", "processing", "held", "occupancy", "seen"].map(() => element("span", { className: "n" }));
    this.node = element("div", { className: "row" }, this.link, this.name, this.status, this.threads, this.cpu.node, this.memory.node, ...this.numbers);
    parent.append(this.node);
  }

  show(w, top, model) {
    this.node.hidden = !w;
    this.node.style.display = w ? "" : "none";
    if (!w) return;
    this.node.style.top = `${top}px`;
    setText(this.link, w.address);
    this.link.href = `info/worker/${encodeURIComponent(w.address)}.html`;
    setText(this.name, w.name);
    setText(this.status, w.status);
    this.status.className = `status ${w.status === "running" ? "" : w.status === "paused" ? "paused" : "other"}`;
    setText(this.threads, count(w.threads));
    this.cpu.set([w.cpu / Math.max(w.threads * 100, 1)], `${Math.round(w.cpu)} %`, "");
    const share = w.limit ? w.memory / w.limit : 0;
    const whole = w.limit || Math.max(w.memory + w.spilled, 1);
    const level = share > 0.8 ? "bad" : share > 0.6 ? "warn" : "";
    this.memory.set([w.memory / whole, Math.min(w.managed, w.memory) / whole], w.limit ? `${bytes(w.memory)} / ${bytes(w.limit)}` : bytes(w.memory), level);
    const values = [w.spilled ? bytes(w.spilled) : "–", count(w.processing), count(w.held), seconds(w.occupancy), `${Math.max(model.time - w.lastSeen, 0).toFixed(1)} s`];
    values.forEach((value, i) => setText(this.numbers[i], value));
  }
}

// A bar with text on it; later shares lie on top of earlier ones.
function meter() {
  const bars = [element("i", { className: "light" }), element("i")];
  const text = element("b");
  const node = element("div", { className: "meter" }, ...bars, text);
  return {
    node,
    set(shares, label, level) {
      bars.forEach((bar, i) => (bar.style.width = `${100 * Math.min(shares[i] ?? (i === 1 ? 0 : shares[0]), 1)}%`));
      node.className = `meter ${level}`;
      setText(text, label);
    },
  };
}
