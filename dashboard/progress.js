// Progress: a bar per prefix, full when all its tasks are done (in memory, released or erred), as in Dask's dashboard.

import { count, seconds } from "./format.js";
import { element, setText } from "./dom.js";
import { STATES } from "./model.js";

const BARS_MAX = 60;
const SEGMENTS = ["memory", "released", "erred", "processing", "queued", "no-worker"]; // the rest of the bar waits
const OPACITY = { memory: 1, released: 0.6, processing: 0.75 };

export function progress(body) {
  const states = element("div", { className: "states" });
  const list = element("div", { className: "progress" });
  const empty = element("div", { className: "empty", textContent: "No tasks." });
  body.append(element("div", { className: "scroll" }, states, list, empty));
  const bars = new Map();

  function barOf(prefix) {
    let bar = bars.get(prefix.name);
    if (bar) return bar;
    bar = { name: element("div", { className: "name", textContent: prefix.name, title: prefix.name }), done: element("div", { className: "done" }), track: element("div", { className: "bar" }) };
    bar.segments = SEGMENTS.map((state) => {
      const segment = element("span", { className: state });
      if (OPACITY[state]) Object.assign(segment.style, { backgroundColor: prefix.color, opacity: OPACITY[state] });
      bar.track.append(segment);
      return segment;
    });
    bar.nodes = [bar.name, bar.track, bar.done];
    bars.set(prefix.name, bar);
    return bar;
  }

  return {
    update(model) {
      states.replaceChildren(...STATES.map((state) => element("span", { className: state, textContent: `${state} ` }, element("b", { textContent: count(model.tasks[state]) }))));
      const shown = [...model.prefixes.values()].sort((a, b) => (a.gone ? 1 : 0) - (b.gone ? 1 : 0) || b.all - a.all).slice(0, BARS_MAX);
      empty.hidden = shown.length > 0;
      const nodes = shown.flatMap((prefix) => {
        const bar = barOf(prefix);
        const done = prefix.counts.memory + prefix.counts.released + prefix.counts.erred;
        SEGMENTS.forEach((state, i) => (bar.segments[i].style.width = prefix.gone ? (i === 1 ? "100%" : "0") : `${(100 * prefix.counts[state]) / prefix.all}%`));
        setText(bar.done, prefix.gone ? `${count(prefix.made)} made` : `${count(done)} / ${count(prefix.all)}`);
        bar.track.title = STATES.map((state) => `${state}: ${count(prefix.counts[state])}`).join("\n") + `\naverage: ${seconds(prefix.duration)}`;
        bar.nodes.forEach((node) => node.classList.toggle("gone", prefix.gone !== null));
        return bar.nodes;
      });
      // Moving nodes restarts their transitions: only when the order has changed.
      if (nodes.length !== list.childNodes.length || nodes.some((node, i) => list.childNodes[i] !== node)) list.replaceChildren(...nodes);
      for (const name of bars.keys()) if (!model.prefixes.has(name)) bars.delete(name);
    },
  };
}
