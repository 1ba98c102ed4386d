// Brings snapshots of the scheduler (scheduler/server/status_snapshot.h): it asks for the next one when the last is drawn and
// the page is visible. Over a WebSocket; where a proxy cuts that off, with plain requests.

const INTERVAL_MS = 500;
const RETRY_MS = [500, 1000, 2000, 5000];
const FAILED_OPENS_UNTIL_POLLING = 2;

export class Connection {
  // onSnapshot(snapshot) and onState("live" | "polling" | "lost").
  constructor(onSnapshot, onState) {
    this.onSnapshot = onSnapshot;
    this.onState = onState;
    this.failedOpens = 0;
    this.retries = 0;
    this.cursor = { stream: "", log: 0 };
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden && this.pending) this.ask();
    });
    this.open();
  }

  open() {
    if (this.failedOpens >= FAILED_OPENS_UNTIL_POLLING) {
      this.ask = this.poll;
      this.poll();
      return;
    }
    const url = new URL("ws/status", location.href);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    let opened = false;
    socket.onopen = () => {
      opened = true;
      this.failedOpens = this.retries = 0;
      this.onState("live");
    };
    socket.onmessage = (message) => this.received(JSON.parse(message.data));
    socket.onclose = () => {
      clearTimeout(this.timer);
      this.onState("lost");
      if (!opened) this.failedOpens++;
      this.later(() => this.open());
    };
    this.ask = () => {
      this.pending = false;
      if (socket.readyState === WebSocket.OPEN) socket.send("next");
    };
  }

  received(snapshot) {
    this.cursor = { stream: snapshot.stream.index, log: snapshot.log_time };
    this.onSnapshot(snapshot);
    // A hidden page asks again when it is looked at.
    this.timer = setTimeout(() => {
      this.pending = true;
      if (!document.hidden) this.ask();
    }, INTERVAL_MS);
  }

  async poll() {
    this.pending = false;
    try {
      const answer = await fetch(`json/status.json?stream=${this.cursor.stream}&log=${this.cursor.log}`, { cache: "no-store" });
      if (!answer.ok) throw new Error(answer.status);
      const snapshot = await answer.json();
      this.retries = 0;
      this.onState("polling");
      this.received({ ...snapshot, all_workers: true });
    } catch {
      this.onState("lost");
      this.later(() => this.poll());
    }
  }

  later(work) {
    setTimeout(work, RETRY_MS[Math.min(this.retries++, RETRY_MS.length - 1)]);
  }
}
