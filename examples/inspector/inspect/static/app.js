// The page of the inspector. All that comes from the host is put in as text,
// never as markup: it may hold what a model or a file said.
import { element, problem, post } from "./dom.js";
import { drawCharts } from "./charts.js";
import { drawSections } from "./sections.js";
import { drawRequests } from "./requests.js";
import { Events } from "./events.js";
import { Checkpoints } from "./checkpoints.js";

const $ = (id) => document.getElementById(id);
const checkpoints = new Checkpoints($("checkpoint-list"), $("checkpoint-view"), $("compare"));
const events = new Events($("events"), (event) => {
  if (event.kind === "checkpoint" && $("checkpoints").open) checkpoints.list(chosen);
});
let chosen = decodeURIComponent(location.hash.slice(1));

function choose(id) {
  if (id === chosen && events.follows(id)) return;
  chosen = id;
  location.hash = encodeURIComponent(id);
  $("agent-name").textContent = id;
  events.follow(id);
  checkpoints.clear();
  if ($("checkpoints").open) checkpoints.list(chosen);
}

function drawAgents(agents) {
  $("no-agents").hidden = agents.length > 0;
  const byParent = new Map();
  for (const a of agents) {
    const parent = agents.some((p) => p.id === a.parent) ? a.parent : "";
    byParent.set(parent, [...(byParent.get(parent) ?? []), a]);
  }
  const items = [];
  const add = (parent, depth) => {
    for (const a of byParent.get(parent) ?? []) {
      const button = element("button", { type: "button", title: `${a.type}, ${a.events} events` },
        element("span", { class: `badge ${a.state}` }, a.state), a.id);
      button.ariaCurrent = String(a.id === chosen);
      button.addEventListener("click", () => choose(a.id));
      const item = element("li", { class: depth > 0 ? "child" : "" }, button);
      items.push(item);
      add(a.id, depth + 1);
    }
  };
  add("", 0);
  // What has the focus stays, or a keyboard could not reach the list.
  const focused = document.activeElement?.textContent;
  $("agents").replaceChildren(...items);
  for (const button of $("agents").querySelectorAll("button")) if (button.textContent === focused) button.focus();
}

const overview = new EventSource("overview");
overview.addEventListener("overview", (message) => {
  $("connection").textContent = "live";
  $("connection").className = "live";
  const o = JSON.parse(message.data);
  if (!chosen && o.agents.length > 0) choose(o.agents[0].id);
  const agent = o.agents.find((a) => a.id === chosen);
  if (agent && !events.follows(chosen)) choose(chosen);
  drawAgents(o.agents);
  $("abort").disabled = !agent || agent.state === "idle";
  drawRequests($("requests"), agent);
  drawCharts($("charts"), o.times, o.series);
  drawSections($("sections"), o.sections);
});
overview.addEventListener("error", () => {
  $("connection").textContent = "connection lost, trying again";
  $("connection").className = "lost";
});

$("abort").addEventListener("click", async () => {
  try {
    const { aborted } = await post(`agents/${encodeURIComponent(chosen)}/abort`, { mode: $("abort-mode").value, reason: "" });
    if (!aborted) problem("nothing was running");
  } catch (err) {
    problem(err.message);
  }
});
$("checkpoints").addEventListener("toggle", () => { if ($("checkpoints").open && chosen) checkpoints.list(chosen); });
$("list-checkpoints").addEventListener("click", () => { if (chosen) checkpoints.list(chosen); });
$("compare").addEventListener("click", () => checkpoints.compare());
