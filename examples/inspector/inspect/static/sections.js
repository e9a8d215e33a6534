import { element } from "./dom.js";

// maxRows is how many rows of a table are shown.
const maxRows = 200;

// drawSections shows what the host adds.
export function drawSections(box, sections) {
  box.replaceChildren(...sections.map((s) => element("section", {},
    element("h2", {}, s.name),
    s.error ? element("p", { class: "error" }, s.error) : value(s.data))));
}

// value shows a list of objects as a table, an object as a list of names, and
// anything else as text.
function value(data) {
  if (Array.isArray(data) && data.length > 0 && data.every(isObject)) {
    const names = [...new Set(data.flatMap((row) => Object.keys(row)))];
    const rows = data.slice(0, maxRows).map((row) => element("tr", {}, ...names.map((n) => element("td", {}, text(row[n])))));
    return element("table", {}, element("thead", {}, element("tr", {}, ...names.map((n) => element("th", {}, n)))),
      element("tbody", {}, ...rows, data.length > maxRows ? element("tr", {}, element("td", {}, `… ${data.length - maxRows} more`)) : null));
  }
  if (isObject(data)) {
    return element("table", {}, element("tbody", {}, ...Object.entries(data).map(([n, v]) =>
      element("tr", {}, element("th", {}, n), element("td", {}, text(v))))));
  }
  if (data == null || (Array.isArray(data) && data.length === 0)) return element("p", { class: "quiet" }, "nothing");
  return element("pre", {}, text(data));
}

const isObject = (v) => v !== null && typeof v === "object" && !Array.isArray(v);

function text(v) {
  if (v == null) return "";
  return typeof v === "object" ? JSON.stringify(v) : String(v);
}
