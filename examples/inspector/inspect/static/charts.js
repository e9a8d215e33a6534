import { element } from "./dom.js";

const svg = "http://www.w3.org/2000/svg";
const width = 300, height = 56;
const colours = 4;

// drawCharts draws each chart's series over the same span of time.
export function drawCharts(box, times, series) {
  const charts = Map.groupBy(series, (s) => s.chart);
  box.replaceChildren(...[...charts].map(([title, list]) => chart(title, times, list)));
}

function chart(title, times, list) {
  const values = list.flatMap((s) => s.values).filter((v) => v !== null);
  const top = Math.max(...values, 1e-9);
  const from = times[0], span = Math.max(times.at(-1) - from, 1);
  const drawing = document.createElementNS(svg, "svg");
  drawing.setAttribute("class", "chart");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("preserveAspectRatio", "none");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", title);
  list.forEach((s, i) => {
    const path = document.createElementNS(svg, "path");
    let d = "", gap = true;
    s.values.forEach((v, n) => {
      if (v === null) { gap = true; return; }
      const x = ((times[n] - from) / span) * width, y = height - (v / top) * (height - 4);
      d += `${gap ? "M" : "L"}${x.toFixed(1)} ${y.toFixed(1)}`;
      if (gap) d += "h0.5"; // a lone reading is a dot
      gap = false;
    });
    path.setAttribute("d", d);
    path.setAttribute("class", `c${i % colours}`);
    drawing.append(path);
  });
  const legend = list.map((s, i) => element("span", { class: `c${i % colours}` },
    `${list.length > 1 || s.name !== title.toLowerCase() ? `${s.name} ` : ""}${number(s.values.findLast((v) => v !== null))}${s.unit ? ` ${s.unit}` : ""} `));
  return element("figure", {}, element("figcaption", {}, element("span", {}, title), element("span", {}, ...legend)), drawing);
}

function number(v) {
  if (v === undefined) return "–";
  if (v >= 100 || Number.isInteger(v)) return String(Math.round(v));
  return v.toPrecision(3);
}
