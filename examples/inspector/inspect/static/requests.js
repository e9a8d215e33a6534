import { element, problem, post } from "./dom.js";

// drawRequests shows an agent's open questions. A form that is already there
// stays as it is, with what was typed into it.
export function drawRequests(box, agent) {
  const open = new Map((agent?.requests ?? []).map((r) => [`${agent.id} ${r.id}`, r]));
  for (const form of [...box.children]) if (!open.has(form.dataset.key)) form.remove();
  const shown = new Set([...box.children].map((form) => form.dataset.key));
  for (const [key, request] of open) if (!shown.has(key)) box.append(requestForm(agent.id, request, key));
}

function requestForm(agent, request, key) {
  const input = control(request, "answer");
  const buttons = request.kind === "confirm"
    ? [button("Yes", () => ({ confirmed: true })), button("No", () => ({ confirmed: false }))]
    : [button("Answer", () => input.read())];
  buttons.push(button("Decline", () => ({ cancelled: true })));
  const form = element("div", { class: "request", "data-key": key, role: "group", "aria-label": "Question" },
    request.title ? element("h2", {}, request.title) : null,
    request.text ? element("p", {}, request.text) : null,
    input.node, element("div", { class: "bar" }, ...buttons));
  return form;

  function button(label, response) {
    const b = element("button", { type: "button" }, label);
    b.addEventListener("click", async () => {
      try {
        await post(`agents/${encodeURIComponent(agent)}/answer`, { request: request.id, response: response() });
        form.remove();
      } catch (err) {
        problem(err.message);
      }
    });
    return b;
  }
}

let counter = 0;

// control makes the input of a question or of a form's field: its node, and read,
// which returns the response.
function control(question, label) {
  const name = `q${counter++}`;
  switch (question.kind) {
    case "confirm": {
      if (label === "answer") return { node: null, read: () => ({ confirmed: true }) };
      const box = element("input", { type: "checkbox" });
      return { node: box, read: () => ({ confirmed: box.checked }) };
    }
    case "choice": case "multichoice": case "tree": {
      const type = question.kind === "choice" ? "radio" : "checkbox";
      const node = element("div", { class: "choices" }, ...options(question.options ?? [], type, name));
      return { node, read: () => ({ choices: [...node.querySelectorAll("input:checked")].map((i) => i.value) }) };
    }
    case "form": {
      const fields = question.fields.map((f) => ({ f, input: control(f, f.label || f.name) }));
      const node = element("div", {}, ...fields.map(({ f, input }) =>
        element(f.options ? "div" : "label", { class: "field" }, `${f.label || f.name}${f.optional ? " (optional)" : ""} `, input.node)));
      return { node, read: () => ({ fields: Object.fromEntries(fields.filter(({ f, input }) => !f.optional || !empty(input.read()))
        .map(({ f, input }) => [f.name, input.read()])) }) };
    }
    default: {
      const node = element("input", { type: question.kind === "password" ? "password" : "text", autocomplete: "off", "aria-label": label });
      return { node, read: () => ({ text: node.value }) };
    }
  }
}

const empty = (r) => !r.text && !r.confirmed && !r.choices?.length;

function options(list, type, name) {
  return list.flatMap((o) => [
    element("label", {}, element("input", { type, name, value: o.value }), ` ${o.label || o.value}`),
    ...(o.children?.length ? [element("div", { class: "nested" }, ...options(o.children, type, name))] : []),
  ]);
}
