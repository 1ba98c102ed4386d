// What the page knows of the cluster: snapshots applied one after the other. Column orders are those of
// scheduler/server/status_snapshot.cc.

import { colorOf } from "./format.js";

const RECTANGLES_MAX = 20000;
const LOG_LINES_MAX = 500;
const HISTORY_MAX = 600;
const FINISHED_SHOWN_S = 30;

export const STATES = ["released", "waiting", "no-worker", "queued", "processing", "memory", "erred"];

export class Model {
  constructor() {
    this.reset();
  }

  reset() {
    this.id = null;
    this.totals = null;
    this.tasks = {};
    this.workers = new Map(); // id -> worker
    this.byAddress = new Map();
    this.prefixes = new Map(); // name -> prefix
    this.clients = [];
    this.log = [];
    this.history = []; // {time, cpu, memory, tasksPerSecond}
    this.stream = { rows: new Map(), rectangles: [], lastStop: 0, leftOut: 0, index: null };
  }

  apply(snapshot) {
    if (this.id !== null && this.id !== snapshot.id) this.reset(); // another scheduler has taken its place
    this.id = snapshot.id;
    this.address = snapshot.address;
    this.started = snapshot.started;
    this.time = snapshot.time;
    this.received = performance.now();
    this.totals = snapshot.totals;
    this.tasks = snapshot.tasks;
    this.clients = snapshot.clients.map(([name, connected, wants, lastSeen]) => ({ name, connected, wants, lastSeen }));
    this.applyWorkers(snapshot);
    this.applyPrefixes(snapshot.prefixes);
    this.applyStream(snapshot.stream);
    this.log = this.log.concat(snapshot.log.map(([time, level, text]) => ({ time, level, text }))).slice(-LOG_LINES_MAX);
  }

  // The scheduler's clock now, between snapshots too.
  now() {
    return this.time + (performance.now() - this.received) / 1000;
  }

  applyWorkers(snapshot) {
    if (snapshot.all_workers) this.workers.clear();
    for (const row of snapshot.workers) {
      const [id, address, name, status, threads, cpu, memory, limit, managed, unmanagedOld, spilled, processing, held, occupancy, lastSeen, read, write] = row;
      this.workers.set(id, { id, address, name, status, threads, cpu, memory, limit, managed, unmanagedOld, spilled, processing, held, occupancy, lastSeen, read, write });
    }
    for (const id of snapshot.workers_gone) this.workers.delete(id);
    this.byAddress = new Map([...this.workers.values()].map((worker) => [worker.address, worker]));
  }

  applyPrefixes(rows) {
    const seen = new Set();
    for (const [name, ...columns] of rows) {
      const counts = Object.fromEntries(STATES.map((state, i) => [state, columns[i]]));
      const [nbytes, duration, compute, transfer, made] = columns.slice(STATES.length);
      const all = STATES.reduce((sum, state) => sum + counts[state], 0);
      this.prefixes.set(name, { name, counts, all, nbytes, duration, compute, transfer, made, color: colorOf(name), gone: null });
      seen.add(name);
    }
    // Finished ones fade out: a progress bar that is full should be seen.
    for (const [name, prefix] of this.prefixes) {
      if (seen.has(name)) continue;
      prefix.gone ??= this.time;
      if (this.time - prefix.gone > FINISHED_SHOWN_S) this.prefixes.delete(name);
    }
  }

  applyStream(s) {
    const stream = this.stream;
    const finished = stream.index === null ? 0 : s.index - stream.index;
    const last = this.history.at(-1);
    const seconds = last ? this.time - last.time : 0;
    this.history.push({ time: this.time, cpu: this.totals.cpu, memory: this.totals.memory, tasksPerSecond: seconds > 0 ? Math.max(finished, 0) / seconds : 0 });
    if (this.history.length > HISTORY_MAX) this.history.shift();

    if (s.restart) Object.assign(stream, { rows: new Map(), rectangles: [], lastStop: 0 });
    stream.index = s.index;
    stream.leftOut = s.left_out;
    const rows = s.rows.map(([worker, thread]) => {
      const name = `${worker} ${thread}`;
      if (!stream.rows.has(name)) stream.rows.set(name, { worker, thread, y: 0 });
      return stream.rows.get(name);
    });
    for (let i = 0; i < s.row.length; i++) {
      const start = this.time + s.start[i] / 1000;
      const stop = start + s.duration[i] / 1000;
      const prefix = s.prefixes[s.prefix[i]];
      stream.rectangles.push({ row: rows[s.row[i]], start, stop, prefix, key: s.keys[s.key[i]], action: s.actions[s.action[i]], erred: s.erred[i] === 1, color: colorOf(prefix) });
      if (stop > stream.lastStop) stream.lastStop = stop;
    }
    if (stream.rectangles.length > RECTANGLES_MAX) stream.rectangles.splice(0, stream.rectangles.length - RECTANGLES_MAX);
  }
}
