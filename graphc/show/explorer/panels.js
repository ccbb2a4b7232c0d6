// What is beside the graph: what is known of a node, of a group and of a pass; the emitted source; memory over time; the search.

function h(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "s"}`;
const section = (title, ...children) => h("section", {}, h("h3", {}, title), ...children);

function bytes(count) {
  if (count < 1024) return `${count} B`;
  const unit = Math.min(4, Math.floor(Math.log2(count) / 10));
  return `${(count / 1024 ** unit).toPrecision(3)} ${["B", "KiB", "MiB", "GiB", "TiB"][unit]}`;
}

// A button that goes to a node, in the pass where it is.
function to(id, pass = state.pass, text = data.nodes[id].n) {
  const node = data.nodes[id], look = `ref ${node.b ? "reversed" : ""}`;
  return h("button", { type: "button", class: look, title: `${node.n}: ${node.t}`, onclick: () => visit(id, pass) }, text);
}

function several(ids, most = 12, pass = state.pass) {
  const shown = ids.slice(0, most).map((id) => to(id, pass));
  return h("p", { class: "refs" }, shown, ids.length > most ? ` and ${ids.length - most} more` : null);
}

const rowsOf = (rows) => h("dl", {}, rows.filter(Boolean).map(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));

// -- the inspector -----------------------------------------------------------------------------------

function inspect() {
  const panel = byId("inspector"), item = state.selected;
  const about = () => (state.line ? aboutLine(state.line) : state.id !== null ? aboutNode(state.id) : item ? aboutGroup(item) : aboutPass());
  panel.replaceChildren(...about());
  panel.scrollTop = 0;
}

function aboutNode(id) {
  const node = data.nodes[id], last = data.passes.length - 1, final = follow(id, state.pass, last);
  const kind = h("span", { class: `chip ${node.b ? "reversed" : node.k}` }, node.b ? "gradient" : node.k);
  const parts = [h("header", {}, h("h2", {}, node.n), kind, node.out ? h("span", { class: "chip" }, node.out) : null)];
  parts.push(h("p", { class: "type" }, node.t));
  if (node.f) parts.push(h("pre", { class: "formula" }, `${node.n} = ${node.f}`));
  if (node.l !== undefined) parts.push(section("Your line", aboutOrigin(data.origins[node.l])));
  const around = pathTo(node.g);
  if (around) parts.push(section("Group", h("p", {}, around)));
  parts.push(aboutGradient(id), aboutLines(node, final, last));
  if (node.c) parts.push(section("Cost", rowsOf([["flops", node.c[0]], ["bytes read and written", node.c[1]], ["estimate", node.c[2]]])));
  parts.push(aboutMemory(final), aboutRules(id));
  const readers = readersOf(state.pass).get(id) || [];
  if (node.i.length) parts.push(section("Reads", several([...new Set(node.i)])));
  if (readers.length) parts.push(section("Read by", several(readers)));
  return parts.filter(Boolean);
}

function aboutLines(node, final, last) {
  if (node.k !== "operator") return null;
  const lines = final === null ? [] : linesOf.get(final) || [];
  const gone = "not in the program that runs: see the rules";
  const why = final === null ? gone : state.pass === last ? "no line of its own" : "what it became has no line of its own";
  if (!lines.length) return section("Emitted", h("p", { class: "quiet" }, why));
  const row = (n) => [h("span", { class: "number" }, String(n)), lineText(n)];
  const button = (n) => h("button", { type: "button", class: "ref code", onclick: () => showLine(n, true) }, row(n));
  return section("Emitted", h("ul", { class: "emitted" }, lines.slice(0, 6).map((n) => h("li", {}, button(n)))));
}

function aboutMemory(final) {
  const place = final === null ? undefined : memoryOf.get(final);
  if (place === undefined) return null;
  const [, first, stop, size, , buffer] = data.memory.values[place];
  const show = h("button", { type: "button", onclick: () => showStep(first, true) }, "Show on the timeline");
  const steps = first === stop ? String(first) : `${first} to ${stop}`;
  return section("Memory", rowsOf([["where", buffer], ["size", bytes(size)], ["held in steps", steps]]), show);
}

function aboutOrigin([file, line, text]) {
  return [h("p", { class: "where" }, `${file}:${line}`), text ? h("pre", { class: "line-text" }, text) : null];
}

function pathTo(g) {
  const names = [];
  for (; g >= 0; g = data.groups[g].parent) names.unshift(data.groups[g].name);
  return names.join(" › ");
}

// Its cotangent and the path on which it comes, or, for a node of the gradient, what it is the derivative by.
function aboutGradient(id) {
  const grad = data.grad;
  if (!grad) return null;
  const first = follow(id, state.pass, 0), found = first === null ? undefined : grad.of[first];
  const root = data.nodes[grad.root].n, rows = [];
  if (found) {
    const name = data.nodes[first].n, place = found.id === null ? null : follow(found.id, 0, state.pass);
    rows.push(h("pre", { class: "formula" }, `∂${root}/∂${name} = ${found.f}`));
    if (place !== null) rows.push(h("p", {}, "computed by ", to(place)));
    if (found.via.length) rows.push(sharesOf(first, found.via));
    const keys = [h("span", { class: "key path" }, "forward"), " and ", h("span", { class: "key back" }, "reversed")];
    rows.push(h("p", { class: "quiet" }, `The way between ${root} and ${name} is marked: `, keys, "."));
  }
  const by = first === null ? [] : derivativeBy.get(first) || [];
  if (by.length) {
    const is = isStill(first, 0, state.pass) ? "It is the derivative of" : "It stands where in the declared graph was the derivative of";
    const names = by.slice(0, 4).map((x) => [follow(x, 0, state.pass) === null ? data.nodes[x].n : to(follow(x, 0, state.pass)), " "]);
    rows.push(h("p", {}, `${is} ${root} with respect to `, names));
  }
  const of = data.nodes[id].of;
  if (of !== undefined) rows.push(h("p", {}, "It belongs to the gradient of ", to(of, passOf(of))));
  return rows.length ? section("Gradient", rows) : null;
}

// The edges over which a cotangent comes, with the local derivatives.
function sharesOf(x, via) {
  const name = (id) => data.nodes[id].n;
  const from = (id) => { const here = follow(id, 0, state.pass); return here === null ? name(id) : to(here); };
  const slope = (reader, local) => (local ? h("code", {}, ` ∂${name(reader)}/∂${name(x)} = ${local}`) : null);
  const rows = via.slice(0, 8).map(([reader, local]) => h("li", {}, "from ", from(reader), slope(reader, local)));
  const head = via.length > 1 ? `${via.length} shares add up:` : "It comes over one edge:";
  return h("div", {}, h("p", { class: "quiet" }, head), h("ul", {}, rows));
}

// What the rules did on the way to this node, and what they made of it.
function aboutRules(id) {
  const rows = [];
  for (const [p, application] of historyOf(id)) rows.push(aboutRule(p, application));
  return rows.length ? section("Rules", h("ol", { class: "rules" }, rows)) : null;
}

function aboutRule(p, application) {
  const info = data.rules[application[0]];
  const head = [h("strong", {}, info.name), h("span", { class: `chip ${info.safety}` }, info.safety)];
  return h("li", { title: info.does }, head, h("span", { class: "quiet" }, ` in ${data.passes[p].name}`), change(p, application));
}

function aboutGroup(item) {
  const kind = { scope: "group", reversed: "gradient of a group", loop: "loop", body: "body", run: "nodes in a row" }[item.kind];
  const parts = [h("header", {}, h("h2", {}, item.title), h("span", { class: "chip" }, kind))];
  parts.push(h("p", {}, plural(item.count, "node")));
  const button = h("button", { type: "button", onclick: () => toggle(item) }, item.open ? "Fold" : "Unfold");
  parts.push(h("p", {}, button, " ", h("kbd", {}, "Enter")));
  const ids = [];
  const walk = (page) => { for (const one of page.items) if (one.items) walk(one); else ids.push(one.id); };
  walk(item);
  const slow = ids.map((id) => [data.nodes[id].us || 0, id]).filter(([us]) => us).sort((a, b) => b[0] - a[0]);
  const sum = slow.reduce((total, [us]) => total + us, 0);
  const dearest = several(slow.slice(0, 5).map(([, id]) => id));
  if (sum) parts.push(section("Cost", rowsOf([["estimate", `${sum.toPrecision(3)} µs`]]), h("p", { class: "quiet" }, "dearest: "), dearest));
  return parts;
}

function aboutPass() {
  const p = state.pass, pass = data.passes[p];
  const parts = [h("header", {}, h("h2", {}, pass.title), h("span", { class: "chip" }, `pass ${p} of ${data.passes.length - 1}`))];
  parts.push(h("p", {}, pass.does));
  const count = p ? `${data.passes[p - 1].nodes.length} → ${pass.nodes.length}` : String(pass.nodes.length);
  const changes = p ? [["new", String(pass.changed.length)], ["gone", String(pass.gone.length)]] : [];
  parts.push(rowsOf([["nodes", count], ...changes, ["work", pass.work]]));
  if (pass.rules.length) {
    const counts = new Map();
    for (const one of pass.rules) push(counts, one[0], one);
    const rows = [...counts].sort((a, b) => b[1].length - a[1].length || data.rules[a[0]].name.localeCompare(data.rules[b[0]].name));
    parts.push(section("Rules that fired", ...rows.map(([rule, uses]) => usesOf(rule, uses, p))));
  }
  if (pass.changed.length) parts.push(section("New here", several(pass.changed, 40)));
  if (pass.gone.length) parts.push(section("Gone", several(pass.gone, 40, p - 1)));
  parts.push(section("Signs", legend()));
  return parts;
}

// A rule, how often it fired, and where.
function usesOf(rule, uses, p) {
  const info = data.rules[rule], more = uses.length - 20;
  const rows = uses.slice(0, 20).map((one) => h("li", {}, change(p, one)));
  return h("details", {},
    h("summary", {}, `${uses.length} × `, h("strong", {}, info.name), h("span", { class: `chip ${info.safety}` }, info.safety)),
    h("p", { class: "quiet" }, info.does),
    h("ol", { class: "rules" }, rows, more > 0 ? h("li", { class: "quiet" }, `and ${more} more`) : null));
}

function change(p, [, before, after, , old, now]) {
  const here = after === null ? null : to(after, inPass(after, p) ? p : passOf(after));
  const from = h("p", {}, before === null ? null : [to(before, p - 1), " = "], h("code", {}, old));
  return h("div", { class: "change" }, from, h("p", {}, "→ ", here && [here, " = "], h("code", {}, now)));
}

function legend() {
  const leaves = [["input", "an input"], ["variable", "a variable"], ["constant", "a constant"], ["parameter", "what a loop or a branch gets"]];
  const looks = [
    ["", "an operation"], ["reversed", "an operation of the gradient"], ["changed", "new in this pass"], ["output", "a result"],
    ["path", "on the way from the selected node to the loss"], ["back", "on the way back"],
  ];
  const sample = (kind, classes, text) => {
    const box = document.createElementNS(SVG, "svg");
    box.setAttribute("viewBox", "-2 -4 40 30"); box.setAttribute("class", "sample"); box.setAttribute("aria-hidden", "true");
    const g = add(box, "g", { class: classes });
    if (kind === "link") add(g, "path", { d: "M0 11H34", class: "" });
    else add(g, "path", { d: kind === "fold" ? outline({ items: [], w: 32, h: 20 }) : shapeOf(kind, 36, 22), class: "shape" });
    return h("li", {}, box, text);
  };
  return h("ul", { class: "legend" },
    leaves.map(([kind, text]) => sample(kind, `node ${kind}`, text)),
    looks.map(([look, text]) => sample("operator", `node operator ${look}`, text)),
    sample("fold", "group", "a folded group: double-click or Enter unfolds it"));
}

function shapeOf(kind, w, h) {
  const sample = { w, h, id: data.nodes.length };
  data.nodes.push({ k: kind });
  const d = outline(sample);
  data.nodes.pop();
  return d;
}

// -- source ------------------------------------------------------------------------------------------

const source = byId("source"), linesOf = new Map(), nodesOf = new Map();
for (const [line, ids] of data.lines) {
  nodesOf.set(line, ids);
  for (const id of ids) push(linesOf, id, line);
}
for (const lines of linesOf.values()) lines.sort((a, b) => a - b);
let cursor = 0;

const lineAt = (n) => byId(`L${n}`);
const lineText = (n) => lineAt(n).textContent.trim().replace(/\s+#.*/, "");

function markLines(ids, name) {
  for (const line of source.querySelectorAll(`.${name}`)) line.classList.remove(name);
  const lines = ids.flatMap((id) => linesOf.get(id) || []);
  for (const n of lines) lineAt(n).classList.add(name);
  return lines;
}

function scrollTo(line) {
  const box = source.getBoundingClientRect(), at = line.getBoundingClientRect();
  if (at.top < box.top || at.bottom > box.bottom) line.scrollIntoView({ block: "center" });
}

// The nodes of a line of source, which are selected, in the pass that is emitted.
function showLine(n, jump = false) {
  const ids = nodesOf.get(n);
  if (jump) scrollTo(lineAt(n));
  setCursor(n);
  if (!ids) return;
  if (ids.length === 1) return visit(ids[0], data.passes.length - 1);
  setPass(data.passes.length - 1);
  select(null);
  state.line = n;
  state.marks.hover = new Set(ids);
  markLines(ids.filter((id) => (linesOf.get(id) || []).includes(n)).slice(0, 1), "current");
  restyle();
  inspect();
}

function aboutLine(n) {
  const ids = nodesOf.get(n);
  const head = h("header", {}, h("h2", {}, `Line ${n}`));
  return [head, h("pre", { class: "formula" }, lineText(n)), section(`Computes ${plural(ids.length, "node")}`, several(ids, 60))];
}

function setCursor(n) {
  const before = lineAt(cursor), now = lineAt(n);
  if (before) before.classList.remove("cursor");
  if (!now) return;
  cursor = n;
  now.classList.add("cursor");
  scrollTo(now);
}

function lineOf(event) {
  const line = event.target.closest(".line");
  return line && source.contains(line) ? Number(line.id.slice(1)) : 0;
}

source.addEventListener("mouseover", (event) => hover(nodesOf.get(lineOf(event)) || []));
source.addEventListener("mouseleave", () => hover([]));
source.addEventListener("click", (event) => { const n = lineOf(event); if (n && !String(getSelection())) showLine(n); });
source.addEventListener("keydown", (event) => {
  const step = { ArrowDown: 1, ArrowUp: -1, PageDown: 20, PageUp: -20 }[event.key];
  if (step) {
    event.preventDefault();
    setCursor(Math.min(Math.max(1, cursor + step), source.dataset.count));
    hover(nodesOf.get(cursor) || []);
  }
  if (event.key === "Enter" && cursor) showLine(cursor);
});

// Nodes of the last pass, wherever they are in this one.
function hover(ids) {
  const last = data.passes.length - 1;
  state.marks.hover = new Set(ids.map((id) => follow(id, last, state.pass)).filter((id) => id !== null));
  restyle();
}

// -- memory ------------------------------------------------------------------------------------------

const memoryOf = new Map(), timeline = byId("timeline");
if (data.memory) data.memory.values.forEach((value, i) => memoryOf.set(value[0], i));

function showStep(n, reveal = false) {
  const memory = data.memory;
  if (!memory) return;
  if (reveal) byId("memory").open = true;
  byId("step").value = n;
  byId("now").setAttribute("x1", n + 0.5);
  byId("now").setAttribute("x2", n + 0.5);
  const alive = memory.values.map((value, i) => [value, i]).filter(([value]) => value[1] <= n && n <= value[2]);
  alive.sort((a, b) => b[0][3] - a[0][3]);
  const made = memory.steps[n].map((id) => data.nodes[id].n).join(", ") || "—";
  byId("step-text").textContent = `step ${n} of ${memory.use.length - 1}: ${made} · ${bytes(memory.use[n])} held`;
  for (const box of timeline.querySelectorAll(".alive")) box.classList.remove("alive");
  for (const [, i] of alive) { const box = byId(`m${i}`); if (box) box.classList.add("alive"); }
  const number = (text) => h("td", { class: "number" }, text), last = data.passes.length - 1;
  const row = ([id, first, stop, size, , buffer]) => [h("td", {}, to(id, last)), h("td", {}, buffer), number(bytes(size)), number(`${first}–${stop}`)];
  const rows = alive.slice(0, 40).map(([value]) => h("tr", {}, row(value)));
  byId("alive").replaceChildren(...rows);
  byId("alive-count").textContent = alive.length > 40 ? `the largest 40 of ${alive.length} values` : plural(alive.length, "value");
}

if (data.memory) {
  byId("step").addEventListener("input", (event) => showStep(Number(event.target.value)));
  timeline.addEventListener("click", (event) => {
    const box = timeline.getBoundingClientRect(), count = data.memory.use.length;
    const n = Math.min(count - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * count)));
    const value = event.target.id.startsWith("m") ? data.memory.values[Number(event.target.id.slice(1))] : null;
    if (value) visit(value[0], data.passes.length - 1);
    showStep(n);
  });
}

// -- search ------------------------------------------------------------------------------------------

const box = byId("search"), results = byId("results"), texts = new Map();

function textOf(id) {
  if (!texts.has(id)) {
    const node = data.nodes[id], origin = node.l === undefined ? "" : `${data.origins[node.l][0]}:${data.origins[node.l][1]}`;
    texts.set(id, `${node.n} ${node.op || ""} ${node.o || ""} ${node.t} ${node.k} ${pathTo(node.g)} ${origin}`.toLowerCase());
  }
  return texts.get(id);
}

function find(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return null;
  const found = [];
  for (const id of data.passes[state.pass].nodes) {
    if (!data.nodes[id].hidden && words.every((word) => textOf(id).includes(word))) found.push(id);
  }
  const rank = (id) => {
    const name = data.nodes[id].n.toLowerCase();
    return name === words[0] ? 0 : name.startsWith(words[0]) ? 1 : data.nodes[id].op === words[0] ? 2 : 3;
  };
  return found.map((id) => [rank(id), id]).sort((a, b) => a[0] - b[0]).map(([, id]) => id);
}

const MOST = 30;
function search() {
  const found = find(box.value);
  state.marks.hits = found ? new Set(found) : null;
  state.marks.dim = Boolean(found);
  state.found = found ? found.slice(0, MOST) : [];
  state.chosen = -1;
  const rows = state.found.map((id, i) => {
    const node = data.nodes[id];
    const words = [h("strong", {}, node.n), ` ${node.k === "operator" ? node.o : node.k} `, h("small", {}, node.t, node.g >= 0 ? `, ${pathTo(node.g)}` : "")];
    return h("li", { role: "option", id: `r${i}`, "aria-selected": "false", onclick: () => choose(i) }, words);
  });
  const told = found && (found.length ? plural(found.length, "node") : "nothing found in this pass");
  if (found) rows.push(h("li", { class: "count", role: "presentation" }, told));
  results.replaceChildren(...rows);
  results.hidden = !found;
  box.setAttribute("aria-expanded", String(Boolean(found)));
  box.removeAttribute("aria-activedescendant");
  say(found ? `${plural(found.length, "node")} found` : "");
  restyle();
}

function choose(i) {
  if (state.found[i] === undefined) return;
  state.chosen = i;
  [...results.querySelectorAll("[role=option]")].forEach((row, j) => row.setAttribute("aria-selected", String(i === j)));
  box.setAttribute("aria-activedescendant", `r${i}`);
  byId(`r${i}`).scrollIntoView({ block: "nearest" });
  visit(state.found[i], state.pass);
}

box.addEventListener("input", search);
box.addEventListener("focus", () => { if (box.value && results.hidden) search(); });
box.addEventListener("keydown", (event) => {
  if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    event.preventDefault();
    const count = state.found.length;
    if (count) choose((state.chosen + (event.key === "ArrowDown" ? 1 : count - (state.chosen < 0 ? 0 : 1))) % count);
  }
  if (event.key === "Enter") {
    if (state.chosen < 0) choose(0);
    hideResults();
    svg.focus();
  }
  if (event.key === "Escape") {
    event.stopPropagation();
    box.value = "";
    search();
    svg.focus();
  }
});

function hideResults() {
  if (results.hidden) return;
  results.hidden = true;
  box.setAttribute("aria-expanded", "false");
  state.marks.hits = null;
  state.marks.dim = false;
  restyle();
}
document.addEventListener("pointerdown", (event) => { if (!event.target.closest("#finder")) hideResults(); });
