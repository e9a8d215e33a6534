import { element, problem, get, bytes } from "./dom.js";

// Checkpoints lists an agent's checkpoints, opens one and compares two.
export class Checkpoints {
  constructor(list, view, compareButton) { Object.assign(this, { box: list, view, compareButton }); }

  clear() {
    this.box.replaceChildren();
    this.view.replaceChildren();
    this.compareButton.disabled = true;
  }

  async list(agent) {
    try {
      const list = await get(`agents/${encodeURIComponent(agent)}/checkpoints`);
      const marked = this.marked();
      this.box.replaceChildren(list.length === 0
        ? element("p", { class: "quiet" }, "There is none yet.")
        : element("table", {}, element("tbody", {}, ...list.reverse().map((c) => this.row(c, marked.includes(c.id))))));
      this.enable();
    } catch (err) {
      this.clear();
      problem(err.message);
    }
  }

  enable() { this.compareButton.disabled = this.marked().length !== 2; }

  row(c, marked) {
    const mark = element("input", { type: "checkbox", value: c.id, "aria-label": `mark ${c.id}`, checked: marked });
    mark.addEventListener("change", () => this.enable());
    const open = element("button", { type: "button" }, "Open");
    open.addEventListener("click", () => this.open(c.id));
    return element("tr", {}, element("td", {}, mark), element("td", {}, c.id),
      element("td", {}, new Date(c.time).toLocaleString()), element("td", {}, bytes(c.bytes)), element("td", {}, open));
  }

  marked() { return [...this.box.querySelectorAll("input:checked")].map((i) => i.value); }

  async open(id) {
    try {
      const c = await get(`checkpoints/${encodeURIComponent(id)}`);
      this.view.replaceChildren(element("h2", {}, `${c.id} of a ${c.type}`), ...c.slices.map((s) =>
        element("details", {}, element("summary", {}, `${s.name}, ${bytes(s.bytes)}`), element("pre", {}, s.text))));
    } catch (err) {
      problem(err.message);
    }
  }

  async compare() {
    const [to, from] = this.marked(); // the list shows the newest first
    try {
      const changes = await get(`compare?from=${encodeURIComponent(from)}&to=${encodeURIComponent(to)}`);
      const changed = changes.filter((c) => c.change !== "same");
      const same = changes.filter((c) => c.change === "same").map((c) => c.name);
      this.view.replaceChildren(element("h2", {}, `From ${from} to ${to}`),
        ...changed.map((c) => element("details", { open: true },
          element("summary", {}, `${c.name}: ${c.change}`), element("pre", {}, ...diffLines(c.diff ?? "")))),
        element("p", { class: "quiet" }, same.length ? `Unchanged: ${same.join(", ")}` : "Nothing is unchanged."));
    } catch (err) {
      problem(err.message);
    }
  }
}

function diffLines(diff) {
  return diff.split("\n").map((line) => element("span", { class: line.startsWith("+") ? "plus" : line.startsWith("-") ? "minus" : "" }, `${line}\n`));
}
