// What the reader does: choose a pass, a node or a group, fold and unfold, walk with the keys.

const state = {
  pass: 0, open: new Set(), folded: new Set(), seen: new Set(), tree: null, selected: null, id: null, line: 0, found: [], chosen: -1,
  marks: { changed: new Set(), hits: null, dim: false, path: new Set(), back: new Set(), near: new Set(), hover: new Set() },
};
const trees = new Map(), sets = new Map(), inverses = new Map(), readers = new Map(), derivativeBy = new Map();
if (data.grad) for (const [x, found] of Object.entries(data.grad.of)) if (found.id !== null) push(derivativeBy, found.id, Number(x));

function say(text) { byId("status").textContent = text; }

// -- passes ------------------------------------------------------------------------------------------

function remembered(map, key, make) {
  if (!map.has(key)) map.set(key, make(key));
  return map.get(key);
}

const setOf = (p) => remembered(sets, p, () => new Set(data.passes[p].nodes));
const inPass = (id, p) => setOf(p).has(id);
const passOf = (id) => (inPass(id, state.pass) ? state.pass : data.passes.findIndex((_, p) => inPass(id, p)));
const inverseOf = (p) => remembered(inverses, p, () => {
  const found = new Map();
  for (const [old, id] of Object.entries(data.passes[p].became)) if (!found.has(id)) found.set(id, Number(old));
  return found;
});
const readersOf = (p) => remembered(readers, p, () => {
  const found = new Map();
  for (const id of data.passes[p].nodes) for (const x of new Set(data.nodes[id].i)) push(found, x, id);
  return found;
});

// What a node of one pass is in another, or null.
function follow(id, from, until) {
  while (id !== null && from < until) {
    from++;
    id = data.passes[from].became[id] ?? (inPass(id, from) ? id : null);
  }
  while (id !== null && from > until) {
    const before = inverseOf(from).get(id);
    from--;
    id = before ?? (inPass(id, from) ? id : null);
  }
  return id;
}

// Whether what a node became has its value still: a match by place alone does not say so.
function isStill(id, from, until) {
  for (let p = from + 1; id !== null && p <= until; p++) {
    if (data.passes[p].guessed.includes(id)) return false;
    id = follow(id, p - 1, p);
  }
  return id !== null;
}

// The applications of rules that led to a node, and those that replaced it, in the order of the passes.
function historyOf(id) {
  const found = [];
  const back = (node, p, depth) => {
    for (; p > 0 && node !== null && depth < 12; p--) {
      const one = data.passes[p].rules.find(([, , after, made]) => after === node || made.includes(node));
      if (one) found.unshift([p, one]);
      if (one && one[1] !== null) return back(one[1], p - 1, depth + 1);
      node = inverseOf(p).get(node) ?? (inPass(node, p - 1) ? node : null);
    }
    return undefined;
  };
  back(id, state.pass, 0);
  for (let p = state.pass + 1, node = id; p < data.passes.length && node !== null; p++) {
    for (const one of data.passes[p].rules) if (one[1] === node) found.push([p, one]);
    node = follow(node, p - 1, p);
  }
  const seen = new Set();
  return found.filter(([, one]) => !seen.has(one) && seen.add(one));
}

function setPass(p, keep = true) {
  if (p === state.pass && state.tree) return;
  const id = keep && state.id !== null ? follow(state.id, state.pass, p) : null;
  const before = state.pass;
  state.pass = p;
  const pass = data.passes[p], made = remembered(trees, p, () => pagesOf(pass));
  if (!state.seen.has(p)) {
    state.seen.add(p);
    const at = new Set();
    openAtFirst(made.root, at);
    for (const key of at) if (!state.folded.has(key)) state.open.add(key);
  }
  for (const one of data.passes[p].nodes) {  // a loop that became another stays open
    const group = data.nodes[one].body, old = group === undefined ? null : follow(one, p, before);
    if (old !== null && state.open.has(`g${data.nodes[old].body}`)) state.open.add(`g${group}`);
  }
  const old = state.selected, at = old && [view.x + (old.X + old.w / 2) * view.k, view.y + (old.Y + old.h / 2) * view.k];
  state.marks.changed = new Set(pass.changed);
  refresh();
  const item = id === null ? null : state.tree.shown.get(id)?.item ?? null;
  if (item && at) {
    view.x = at[0] - (item.X + item.w / 2) * view.k;
    view.y = at[1] - (item.Y + item.h / 2) * view.k;
  }
  byId("pass").value = p;
  byId("pass").setAttribute("aria-valuetext", `${pass.title}, ${plural(pass.nodes.length, "node")}`);
  const count = p ? `${data.passes[p - 1].nodes.length} → ${plural(pass.nodes.length, "node")}` : plural(pass.nodes.length, "node");
  byId("pass-text").textContent = `${pass.title}: ${count}${p ? `, ${pass.changed.length} new, ${pass.gone.length} gone` : ""}`;
  [...document.querySelectorAll("#stops button")].forEach((stop, i) => stop.setAttribute("aria-current", i === p ? "step" : "false"));
  if (!results.hidden) search();
  select(item, id);
  if (!item) start();
}

// Links, layout and drawing after groups were folded or unfolded.
function refresh() {
  const made = trees.get(state.pass);
  state.tree = { ...made, ...link(data.passes[state.pass], made, state.open) };
  arrange();
  draw();
}

// -- folding -----------------------------------------------------------------------------------------

function mark(item, open) {
  const [to, from] = open ? [state.open, state.folded] : [state.folded, state.open];
  to.add(item.key);
  from.delete(item.key);
}

function toggle(item, keepStill = true) {
  const x = view.x + item.X * view.k, y = view.y + item.Y * view.k, open = !state.open.has(item.key);
  mark(item, open);
  refresh();
  if (keepStill) { view.x = x - item.X * view.k; view.y = y - item.Y * view.k; view.drawn = null; }
  select(item);
  draw();
  say(`${item.title} ${open ? "unfolded" : "folded"}`);
}

function foldAll(open) {
  const walk = (page) => {
    for (const item of page.items.filter((one) => one.items)) {
      mark(item, open);
      walk(item);
    }
  };
  walk(state.tree.root);
  const id = state.id;
  refresh();
  select(id === null ? null : state.tree.shown.get(id)?.item ?? null, id);
  if (state.selected) bringIntoSight(state.selected, true); else start();
}

// Unfolds what is around a node.
function reveal(id) {
  let changed = false;
  const item = state.tree.home.get(id);
  for (let page = item && item.parent ? item.parent : item && item.page; page && page.parent; page = page.parent) {
    if (state.open.has(page.key)) continue;
    state.open.add(page.key);
    changed = true;
  }
  if (changed) refresh();
  return item;
}

// Goes to a node: to its pass, into its group, into sight.
function visit(id, pass) {
  const there = inPass(id, pass) ? pass : passOf(id);
  if (there < 0) return;
  if (there !== state.pass) setPass(there, false);
  const item = reveal(id);
  if (!item) { select(null, id); return; }
  select(item, id);
  bringIntoSight(item);
}

// -- choosing ----------------------------------------------------------------------------------------

function select(item, id = null) {
  state.selected = item;
  state.line = 0;
  state.id = id !== null ? id : !item ? null : item.id !== undefined ? item.id : item.node ?? null;
  const marks = state.marks;
  marks.near = new Set();
  marks.hover = new Set();
  for (const { from, to } of item ? state.tree.links : []) {
    if (from === item) marks.near.add(to);
    if (to === item) marks.near.add(from);
  }
  [marks.path, marks.back] = state.id === null ? [new Set(), new Set()] : gradientPath(state.id);
  const final = state.id === null ? null : follow(state.id, state.pass, data.passes.length - 1);
  const lines = markLines(final === null ? [] : [final], "current");
  if (lines.length) { cursor = lines[0]; scrollTo(lineAt(lines[0])); }
  if (data.memory) {
    for (const one of timeline.querySelectorAll(".chosen")) one.classList.remove("chosen");
    const place = final === null ? undefined : memoryOf.get(final);
    if (place !== undefined) { byId(`m${place}`)?.classList.add("chosen"); showStep(data.memory.values[place][1]); }
  }
  restyle();
  inspect();
  if (item) say(toldOf(item));
}

function toldOf(item) {
  if (item.items) return `${item.title}, group of ${plural(item.count, "node")}, ${item.open ? "unfolded" : "folded"}`;
  const node = data.nodes[item.id];
  return `${node.n}, ${node.o || node.k}, ${node.t}`;
}

// The nodes between a value and the loss, and those that compute their cotangents.
function gradientPath(id) {
  const grad = data.grad, path = new Set(), back = new Set(), start = grad ? follow(id, state.pass, 0) : null;
  const from = start === null ? null : grad.of[start] ? start : (derivativeBy.get(start) || [null])[0];
  if (from === null) return [path, back];
  const waiting = [from], seen = new Set(waiting);
  while (waiting.length) {
    const x = waiting.pop(), found = grad.of[x];
    const here = follow(x, 0, state.pass);
    if (here !== null) path.add(here);
    if (!found) continue;
    const there = found.id === null ? null : follow(found.id, 0, state.pass);
    if (there !== null) back.add(there);
    for (const [reader] of found.via) if (!seen.has(reader)) { seen.add(reader); waiting.push(reader); }
  }
  return [path, back];
}

function itemAt(event) {
  const element = event.target.closest("[data-key]");
  if (element) return element.of.open && !event.target.closest(".head") ? null : element.of;
  if (!view.far) return null;
  const rect = svg.getBoundingClientRect();
  const x = (event.clientX - rect.left - view.x) / view.k, y = (event.clientY - rect.top - view.y) / view.k;
  return shapes.nodes.find((item) => x >= item.X && x <= item.X + item.w && y >= item.Y && y <= item.Y + item.h) || null;
}

svg.addEventListener("click", (event) => {
  if (dragged > 4) return;
  const item = itemAt(event);
  if (item && (item.open || event.target.closest(".handle"))) toggle(item); else select(item);
});
svg.addEventListener("dblclick", (event) => { const item = itemAt(event); if (item && item.items) toggle(item); });
svg.addEventListener("mouseover", (event) => {
  const item = itemAt(event), id = item && (item.id ?? item.node);
  const final = id === null || id === undefined ? null : follow(id, state.pass, data.passes.length - 1);
  markLines(final === null ? [] : [final], "hovered");
});

// The item that is nearest in a direction: along a link upwards and downwards, else sideways among those of about the same height.
function neighbour(direction) {
  const now = state.selected, middle = (item) => [item.X + item.w / 2, item.Y + item.h / 2];
  if (!now) return shapes.nodes[0] || null;
  const [x, y] = middle(now);
  const nearest = (items, distance) => items.reduce((best, item) => (best === null || distance(item) < distance(best) ? item : best), null);
  if (direction === "ArrowUp" || direction === "ArrowDown") {
    const up = direction === "ArrowUp";
    const linked = state.tree.links.filter((one) => (up ? one.to : one.from) === now).map((one) => (up ? one.from : one.to));
    return nearest(linked, (item) => Math.abs(middle(item)[0] - x) + 0.2 * Math.abs(middle(item)[1] - y));
  }
  const sign = direction === "ArrowLeft" ? -1 : 1;
  const beside = shapes.nodes.filter((item) => (middle(item)[0] - x) * sign > 1);
  return nearest(beside, (item) => Math.abs(middle(item)[0] - x) + 4 * Math.abs(middle(item)[1] - y));
}

svg.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const item = state.selected;
  if (event.key.startsWith("Arrow")) {
    event.preventDefault();
    const next = neighbour(event.key);
    if (next) { select(next); bringIntoSight(next); }
  } else if ((event.key === "Enter" || event.key === " ") && item) {
    event.preventDefault();
    if (item.items) { toggle(item); bringIntoSight(item); } else byId("inspector").focus();
  } else if (event.key === "f" && item) {
    const around = item.in;
    if (around && around.parent) { toggle(around); bringIntoSight(around); }
  } else if (event.key === "+" || event.key === "=") zoom(1.25);
  else if (event.key === "-") zoom(0.8);
  else if (event.key === "0") fit();
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input[type=search]");
  if (event.key === "Escape" && !byId("help").open) { select(null); svg.focus(); }
  if (typing || event.ctrlKey || event.metaKey || event.altKey) return;
  if (event.key === "/") { event.preventDefault(); box.focus(); box.select(); }
  if (event.key === "?") byId("help").showModal();
  const next = state.pass + ({ "[": -1, "]": 1 }[event.key] || 0);
  if (data.passes[next]) setPass(next);
});

byId("pass").addEventListener("input", (event) => setPass(Number(event.target.value)));
[...document.querySelectorAll("#stops button")].forEach((stop, i) => stop.addEventListener("click", () => setPass(i)));
const actions = {
  in: () => zoom(1.25), out: () => zoom(0.8), fit, fold: () => foldAll(false), unfold: () => foldAll(true), help: () => byId("help").showModal(),
};
for (const button of document.querySelectorAll("[data-do]")) button.addEventListener("click", () => actions[button.dataset.do]());
byId("help").addEventListener("click", (event) => { if (event.target === byId("help")) byId("help").close(); });

// -- the borders between the panes -------------------------------------------------------------------

for (const border of document.querySelectorAll("[role=separator]")) {
  const pane = byId(border.getAttribute("aria-controls")), across = border.getAttribute("aria-orientation") === "vertical";
  const set = (size) => {
    const whole = across ? innerWidth : pane.parentElement.clientHeight, share = Math.min(0.8, Math.max(0.15, size / whole));
    pane.style.flexBasis = `${(100 * share).toFixed(1)}%`;
    border.setAttribute("aria-valuenow", Math.round(100 * share));
  };
  const size = () => (across ? pane.getBoundingClientRect().width : pane.getBoundingClientRect().height);
  border.addEventListener("pointerdown", (event) => { border.setPointerCapture(event.pointerId); event.preventDefault(); border.focus(); });
  border.addEventListener("pointermove", (event) => {
    if (!border.hasPointerCapture(event.pointerId)) return;
    const rect = pane.getBoundingClientRect();
    set(across ? rect.right - event.clientX : event.clientY - rect.top);
  });
  border.addEventListener("keydown", (event) => {
    const step = (across ? { ArrowLeft: 24, ArrowRight: -24 } : { ArrowUp: -24, ArrowDown: 24 })[event.key];
    if (step) { event.preventDefault(); set(size() + step); }
  });
}

const rect = svg.getBoundingClientRect();
view.size = { width: Math.max(1, rect.width), height: Math.max(1, rect.height) };
setPass(0);
if (data.memory) showStep(data.memory.peak);
document.documentElement.dataset.ready = "yes";
setTimeout(() => { for (const node of data.passes[0].nodes) textOf(node); }, 0);
