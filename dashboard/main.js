// Puts together the panes that this address shows and feeds them with snapshots.

import { Connection } from "./connection.js";
import { element } from "./dom.js";
import { clock } from "./format.js";
import { Model } from "./model.js";
import { barsOf } from "./bars.js";
import { clients, log } from "./lists.js";
import { progress } from "./progress.js";
import { summary } from "./summary.js";
import { taskStream } from "./task_stream.js";
import { workersTable } from "./workers_table.js";

const PANES = {
  "task-stream": ["Task stream", taskStream],
  progress: ["Progress", progress],
  workers: ["Workers", workersTable],
  "workers-memory": ["Memory per worker", barsOf("memory")],
  "cluster-memory": ["Memory of the cluster", barsOf("clusterMemory")],
  cpu: ["CPU per worker", barsOf("cpu")],
  nprocessing: ["Tasks processing per worker", barsOf("processing")],
  occupancy: ["Occupancy per worker", barsOf("occupancy")],
  "memory-by-key": ["Memory per prefix", barsOf("prefixMemory")],
  "compute-time-per-key": ["Time per prefix", barsOf("prefixTime")],
  "scheduler-log": ["Log and events", log],
  clients: ["Clients", clients],
};

// Per page: panes with their width in twelfths and height in pixels.
const PAGES = {
  status: [
    ["workers-memory", 4, 260], ["task-stream", 8, 260],
    ["nprocessing", 4, 240], ["progress", 8, 240],
    ["workers", 12, 300], ["scheduler-log", 8, 200], ["clients", 4, 200],
  ],
  workers: [["workers-memory", 6, 300], ["cpu", 3, 300], ["occupancy", 3, 300], ["workers", 12, 560]],
  tasks: [["task-stream", 12, 480], ["progress", 6, 300], ["compute-time-per-key", 3, 300], ["memory-by-key", 3, 300]],
  system: [["cluster-memory", 12, 80], ["cpu", 6, 340], ["workers-memory", 6, 340], ["scheduler-log", 12, 340]],
};

const model = new Model();
const updates = [];
const root = document.getElementById("panes");

function addPane(name, columns, height) {
  const [title, make] = PANES[name];
  const body = element("div", { className: "body" });
  const tools = element("span", { className: "tools" });
  const note = element("span", { className: "note" });
  const pane = element("section", { className: "pane", ariaLabel: title }, element("h2", {}, title, note, tools), body);
  if (columns) Object.assign(pane.style, { gridColumn: `span ${columns}`, height: `${height}px` });
  root.append(pane);
  updates.push(make(body, tools, note));
}

const page = location.pathname.split("/").pop();
if (page.startsWith("individual-")) {
  document.body.classList.add("single");
  addPane(page.slice("individual-".length));
} else {
  const cards = element("div");
  root.append(cards);
  updates.push(summary(cards));
  for (const pane of PAGES[page] ?? PAGES.status) addPane(...pane);
  document.querySelector(`header nav a[href="${page}"]`)?.classList.add("here");
}

const link = document.getElementById("link");
const where = document.getElementById("where");
const STATE_TEXT = { live: "live", polling: "live, without WebSocket", lost: "no connection to the scheduler" };

new Connection(
  (snapshot) => {
    model.apply(snapshot);
    where.textContent = `${model.address} · since ${new Date(model.started * 1000).toLocaleDateString()} ${clock(model.started)}`;
    for (const pane of updates) pane.update(model);
  },
  (state) => {
    link.className = `link ${state}`;
    link.textContent = STATE_TEXT[state];
  },
);
