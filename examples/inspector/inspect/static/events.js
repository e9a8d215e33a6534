import { element, duration, bytes } from "./dom.js";

// maxShown is how many events stay on the page.
const maxShown = 2000;
// maxJoined is how long a joined text may grow before a new line begins, so
// that one long reply does not become one huge text node.
const maxJoined = 20000;

// Events follows one agent and shows each event; seen is called with it, too. The
// browser resumes a broken stream from the last event that it had.
export class Events {
  constructor(list, seen) { Object.assign(this, { list, seen, source: null, id: "" }); }

  follows(id) { return this.id === id && this.source !== null; }

  follow(id) {
    this.source?.close();
    this.id = id;
    this.joined = null;
    this.list.replaceChildren();
    const source = new EventSource(`agents/${encodeURIComponent(id)}/events`);
    this.source = source;
    source.addEventListener("event", (message) => {
      if (this.source !== source) return;
      const event = JSON.parse(message.data);
      this.add(event);
      this.seen(event);
    });
    source.addEventListener("end", () => {
      source.close();
      if (this.source === source) this.source = null; // the agent may come back
    });
    source.addEventListener("error", () => {
      // Refused for good, as when the agent is gone.
      if (source.readyState === EventSource.CLOSED && this.source === source) this.source = null;
    });
  }

  add(event) {
    const follow = this.list.scrollTop + this.list.clientHeight >= this.list.scrollHeight - 40;
    const body = event.body ?? {};
    const text = event.kind === "output" || event.kind === "reasoning";
    if (text && this.joined?.kind === event.kind && this.joined.node.length < maxJoined) {
      this.joined.node.appendData(body.text);
    } else {
      const [content, look] = describe(event.kind, body);
      const node = document.createTextNode(typeof content === "string" ? content : "");
      const item = element("li", { class: `${event.kind.replaceAll(".", "-")} ${look}`, "data-seq": event.seq },
        element("time", { datetime: event.time }, new Date(event.time).toLocaleTimeString()),
        element("span", { class: "kind" }, event.kind),
        element("span", { class: "text" }, typeof content === "string" ? node : content));
      this.list.append(item);
      this.joined = text ? { kind: event.kind, node } : null;
      while (this.list.childElementCount > maxShown) this.list.firstElementChild.remove();
    }
    if (follow) this.list.scrollTop = this.list.scrollHeight;
  }
}

// describe returns what to show of an event, as text or as an element, and how.
function describe(kind, b) {
  switch (kind) {
    case "output": case "reasoning": return [b.text, ""];
    case "message": return [b.text, { ERROR: "bad", WARN: "bad" }[b.level] ?? ""];
    case "input.received": return [(b.resumed ? "again: " : "") + b.text, ""];
    case "input.finished": return [`${b.state} after ${duration(b.duration)}${b.error ? `: ${b.error}` : ""}`, b.state === "done" ? "good" : "bad"];
    case "aborting": return [`${b.reason} (${b.mode})`, "bad"];
    case "exit": return [b.reason, ""];
    case "tool.started": return [`${b.call.name} ${brief(b.call.args)}`, ""];
    case "tool.finished": return [element("details", {},
      element("summary", {}, `${b.call.name} ${b.failed ? "failed" : "done"} in ${duration(b.duration)}`),
      element("pre", {}, b.result)), b.failed ? "bad" : ""];
    case "asked": return [b.request.title || b.request.text, ""];
    case "answered": return [b.error || answerText(b.response), b.error ? "bad" : ""];
    case "hook": return [`${b.point} ${b.name} ${duration(b.duration)}${b.error ? `: ${b.error}` : ""}`, b.error ? "bad" : ""];
    case "checkpoint": return [`${b.id}, ${bytes(b.bytes)}`, ""];
    case "reset": return [b.scope, ""];
    case "subagent": return [`${b.id} (${b.type}) ${b.state}`, ""];
    case "lagged": return [`events ${b.from} to ${b.to} are no longer in the log`, "bad"];
    case "busy": case "idle": return ["", ""];
    default: return [b.name ? `${b.name} ${brief(b.data)}` : brief(b), ""];
  }
}

function brief(value) {
  if (value == null) return "";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length > 400 ? `${text.slice(0, 400)}…` : text;
}

function answerText(r) {
  const by = r.by ? ` by ${r.by}` : "";
  if (r.cancelled) return `declined${by}`;
  if (r.choices?.length) return r.choices.join(", ") + by;
  if (r.fields) return `form${by}`;
  if (r.text) return r.text + by;
  return (r.confirmed ? "yes" : "no or hidden") + by;
}
