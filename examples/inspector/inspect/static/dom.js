// element makes an element with attributes and children; strings become text.
export function element(name, attributes = {}, ...children) {
  const e = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) e.setAttribute(key, "");
    else if (value !== false && value !== "" && value != null) e.setAttribute(key, value);
  }
  e.append(...children.filter((c) => c != null));
  return e;
}

let hide;

// problem shows what went wrong for some seconds.
export function problem(text) {
  const box = document.getElementById("problem");
  box.textContent = text;
  box.hidden = false;
  clearTimeout(hide);
  hide = setTimeout(() => { box.hidden = true; }, 8000);
}

async function result(response) {
  if (!response.ok) throw new Error((await response.text()).trim() || response.statusText);
  return response.json();
}

export const get = (path) => fetch(path).then(result);
export const post = (path, body) => fetch(path, {
  method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(body),
}).then(result);

// duration writes nanoseconds as people say them.
export function duration(ns) {
  if (ns >= 6e10) return `${Math.floor(ns / 6e10)}m${Math.round((ns % 6e10) / 1e9)}s`;
  if (ns >= 1e9) return `${(ns / 1e9).toFixed(2)}s`;
  return `${Math.round(ns / 1e6)}ms`;
}

// bytes writes a size as people say it.
export function bytes(n) {
  const units = ["B", "KiB", "MiB", "GiB"];
  let unit = 0;
  while (n >= 1024 && unit < units.length - 1) { n /= 1024; unit++; }
  return `${unit > 0 && n < 100 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}
