// The log's tail with the scheduler's events, and the clients.

import { clock, count } from "./format.js";
import { element } from "./dom.js";

export function log(body) {
  const list = element("div", { className: "log" });
  body.append(list);
  let last = null;
  return {
    update(model) {
      const newest = model.log.at(-1);
      if (newest === last) return;
      const from = last ? model.log.indexOf(last) + 1 : 0;
      const atEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
      if (from === 0) list.replaceChildren();
      list.append(...model.log.slice(from).map(({ time, level, text }) => element("div", { className: level, textContent: level === "EVENT" ? `${clock(time)} event ${text}` : text })));
      while (list.childNodes.length > model.log.length) list.firstChild.remove();
      last = newest;
      if (atEnd) list.scrollTop = list.scrollHeight;
    },
  };
}

export function clients(body) {
  const list = element("div", { className: "clients" });
  body.append(element("div", { className: "scroll" }, list));
  return {
    update(model) {
      const rows = model.clients.map(({ name, connected, wants }) =>
        element("div", { className: connected ? "" : "off" }, element("span", { textContent: name, title: name }), element("span", { textContent: `${count(wants)} keys` })),
      );
      list.replaceChildren(...(rows.length ? rows : [element("div", { className: "off", textContent: "No clients." })]));
    },
  };
}
