// The graph on the screen: it is moved and scaled as a whole, and only what is in sight is in the document. Where more is in sight
// than can be read, boxes and links are drawn as a few long paths.

const SVG = "http://www.w3.org/2000/svg", READABLE = 900, MARGIN = 0.5;
const svg = byId("graph"), scene = byId("scene");
const layers = { frames: add(scene, "g"), far: add(scene, "g"), links: add(scene, "g"), nodes: add(scene, "g") };
const view = { x: 0, y: 0, k: 1, drawn: null };
const shapes = { drawn: new Map(), nodes: [], frames: [], links: [], heads: new Map() };

function byId(id) { return document.getElementById(id); }

function add(parent, tag, attributes = {}, text = null) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  if (text !== null) made.textContent = text;
  parent.append(made);
  return made;
}

const widths = new Map(), pen = document.createElement("canvas").getContext("2d");

// The width of a text, character by character, which is a little too much where letters are drawn closer.
function widthOf(text, font) {
  if (!widths.has(font)) widths.set(font, new Map());
  const known = widths.get(font);
  let width = 0;
  for (const char of text) {
    if (!known.has(char)) { pen.font = font; known.set(char, pen.measureText(char).width); }
    width += known.get(char);
  }
  return width;
}

const TITLE = "600 13px system-ui, sans-serif", SMALL = "11px system-ui, sans-serif";

function cut(text, most) { return text.length > most ? `${text.slice(0, most - 1)}…` : text; }

// What is written in a box, and its size.
function measure(item) {
  if (item.items) {
    item.lines = [cut(item.title, 40), `${item.count} node${item.count === 1 ? "" : "s"}`];
    item.w = Math.max(96, widthOf(item.lines[0], TITLE) + 46, widthOf(item.lines[1], SMALL) + 30);
    item.h = 46;
    item.least = widthOf(cut(item.title, 60), TITLE) + 70;
    return;
  }
  const node = data.nodes[item.id];
  item.lines = node.k === "operator" ? [cut(node.o, 28), cut(`${node.n}: ${node.t}`, 44)] : [cut(node.o || node.n, 36), cut(node.t, 44)];
  const room = { input: 30, parameter: 24, constant: 30 }[node.k] || 22;
  item.w = Math.max(46, widthOf(item.lines[0], TITLE) + room, widthOf(item.lines[1], SMALL) + room);
  item.h = 40;
}

// Lays the open pages out and lists what there is to draw, with places in the graph.
function arrange() {
  const { root, links } = state.tree;
  const prepare = (page) => { for (const item of page.items) { measure(item); if (item.open) prepare(item); } };
  prepare(root);
  layOut(root);
  shapes.nodes = []; shapes.frames = [];
  const place = (page, x, y) => {
    page.left = x; page.upper = y;
    for (const item of page.items) {
      item.X = x + item.x - item.w / 2;
      item.Y = y + item.y - item.h / 2;
      (item.open ? shapes.frames : shapes.nodes).push(item);
      if (item.open) place(item, item.X, item.Y);
    }
  };
  place(root, 0, 0);
  const pieces = new Map();
  for (const one of links) for (const p of one.pieces) {
    if (!pieces.has(p)) {
      p.box = [Infinity, Infinity, -Infinity, -Infinity];
      for (const [x, y] of p.way.points) {
        p.box[0] = Math.min(p.box[0], x + p.page.left - 4); p.box[1] = Math.min(p.box[1], y + p.page.upper - 4);
        p.box[2] = Math.max(p.box[2], x + p.page.left + (p.way.back ? 80 : 4)); p.box[3] = Math.max(p.box[3], y + p.page.upper + 4);
      }
      p.key = `e${pieces.size}`;
      p.of = [];
      p.ends = !p.doorIn && !p.to.port;
      pieces.set(p, p);
    }
    p.of.push(one);
  }
  shapes.links = [...pieces.keys()];
  view.drawn = null;
  for (const element of shapes.drawn.values()) element.remove();
  shapes.drawn.clear();
  shapes.heads.clear();
}

function outline(item) {
  const { w, h } = item, kind = item.items ? "operator" : data.nodes[item.id].k;
  const box = (r) => `M${r} 0H${w - r}Q${w} 0 ${w} ${r}V${h - r}Q${w} ${h} ${w - r} ${h}H${r}Q0 ${h} 0 ${h - r}V${r}Q0 0 ${r} 0Z`;
  if (kind === "input") return box(h / 2);
  if (kind === "constant") return `M9 0H${w - 9}L${w} 9V${h - 9}L${w - 9} ${h}H9L0 ${h - 9}V9Z`;
  if (kind === "variable") return `M0 3Q${w / 2} -4 ${w} 3V${h - 3}Q${w / 2} ${h + 4} 0 ${h - 3}ZM0 3Q${w / 2} 9 ${w} 3`;
  if (kind === "parameter") return `M0 0H${w - 9}L${w} 9V${h}H0ZM${w - 9} 0V9H${w}`;
  return box(6);
}

// The classes of an item: what it is, and what it is to the selection, the search and the pass.
function classesOf(item) {
  const ids = item.items ? null : item.id, marks = state.marks;
  const any = (set) => (ids !== null ? set.has(ids) : !item.open && inside(item, set));
  const node = ids !== null ? data.nodes[ids] : item.node !== undefined ? data.nodes[item.node] : null;
  const names = [item.items ? "group" : `node ${node.k}`, node && node.b ? "reversed" : item.kind === "reversed" ? "reversed" : ""];
  if (node && node.out) names.push("output");
  if (state.selected === item) names.push("selected");
  if (any(marks.changed)) names.push("changed");
  if (marks.hits && any(marks.hits)) names.push("hit");
  if (any(marks.path)) names.push("path");
  if (any(marks.back)) names.push("back");
  if (marks.near.has(item)) names.push("near");
  if (any(marks.hover)) names.push("hover");
  if (marks.dim && !item.open && !any(marks.hits)) names.push("dim");
  return names.filter(Boolean).join(" ");
}

function inside(group, set) {
  if (!set.size) return false;
  return group.items.some((item) => (item.items ? set.has(item.node) || inside(item, set) : set.has(item.id)));
}

function linkClasses(p) {
  const marks = state.marks, names = ["link"];
  if (p.of.some((one) => one.kind === "carried")) names.push("carried");
  if (p.of.every((one) => one.pairs.every(([, v]) => data.nodes[v].b))) names.push("reversed");
  if (p.of.some((one) => one.pairs.some(([u, v]) => marks.path.has(u) && marks.path.has(v)))) names.push("path");
  if (p.of.some((one) => one.pairs.some(([u, v]) => marks.back.has(u) && marks.back.has(v)))) names.push("back");
  if (state.selected && p.of.some((one) => one.from === state.selected || one.to === state.selected)) names.push("near");
  if (marks.dim) names.push("dim");
  return names.join(" ");
}

function drawNode(item) {
  const g = add(layers.nodes, "g", { transform: `translate(${item.X.toFixed(1)} ${item.Y.toFixed(1)})`, "data-key": item.key });
  if (item.items) add(g, "path", { d: `M5 ${item.h}V${item.h + 4}H${item.w + 4}V5H${item.w}`, class: "stack" });
  add(g, "path", { d: outline(item), class: "shape" });
  const middle = item.w / 2 + (item.items ? 10 : 0);
  add(g, "text", { x: middle, y: 17, class: "title" }, item.lines[0]);
  add(g, "text", { x: middle, y: 32, class: "type" }, item.lines[1]);
  if (item.items) {
    add(g, "rect", { x: 2, y: 2, width: 28, height: 28, class: "handle" });
    add(g, "path", { d: "M12 17h10m-5 -5v10", class: "sign" });
  }
  return g;
}

function drawFrame(item) {
  const g = add(layers.frames, "g", { transform: `translate(${item.X.toFixed(1)} ${item.Y.toFixed(1)})`, "data-key": item.key });
  add(g, "rect", { width: item.w.toFixed(1), height: item.h.toFixed(1), rx: 9, class: "shape" });
  const head = add(g, "g", { class: "head" });
  shapes.heads.set(item, head);
  add(head, "rect", { x: 4, y: 4, width: (item.least - 20).toFixed(1), height: 20, rx: 5, class: "handle" });
  add(head, "path", { d: "M12 14h10", class: "sign" });
  add(head, "text", { x: 30, y: 18.5, class: "title" }, cut(item.title, 60));
  return g;
}

const isIn = (box, [x0, y0, x1, y1]) => box[0] < x1 && box[2] > x0 && box[1] < y1 && box[3] > y0;
const boxOf = (item) => [item.X, item.Y, item.X + item.w, item.Y + item.h];

function inSight(margin) {
  const { width, height } = view.size, dx = (width / view.k) * margin, dy = (height / view.k) * margin;
  const x = -view.x / view.k, y = -view.y / view.k;
  return [x - dx, y - dy, x + width / view.k + dx, y + height / view.k + dy];
}

// Brings the document up to what is in sight.
function draw() {
  scene.setAttribute("transform", `translate(${view.x.toFixed(2)} ${view.y.toFixed(2)}) scale(${view.k.toFixed(4)})`);
  svg.classList.toggle("distant", view.k < 0.42);
  const bare = inSight(0), last = view.drawn;
  leadHeads(bare);
  const covered = last && bare[0] >= last.box[0] && bare[1] >= last.box[1] && bare[2] <= last.box[2] && bare[3] <= last.box[3];
  if (covered && last.k / view.k < 1.6 && view.k / last.k < 1.6) return;
  const box = inSight(MARGIN);
  view.drawn = { box, k: view.k };
  const nodes = shapes.nodes.filter((item) => isIn(boxOf(item), box)), frames = shapes.frames.filter((item) => isIn(boxOf(item), box));
  const links = shapes.links.filter((p) => isIn(p.box, box)), ended = links.filter((p) => isEnded(p, box));
  const far = nodes.length > READABLE || ended.length > 2 * READABLE || (view.k < 0.3 && nodes.length > 250);
  view.far = far;
  layers.far.replaceChildren();
  const wanted = new Map();
  for (const item of frames) wanted.set(`f${item.key}`, [item, drawFrame]);
  if (!far) {
    for (const p of ended) wanted.set(p.key, [p, drawLink]);
    for (const item of nodes) wanted.set(item.key, [item, drawNode]);
  }
  for (const [key, element] of shapes.drawn) {
    if (wanted.has(key)) continue;
    element.remove();
    shapes.drawn.delete(key);
    shapes.heads.delete(element.of);
  }
  for (const [key, [one, make]] of wanted) {
    if (shapes.drawn.has(key)) continue;
    const element = make(one);
    element.setAttribute("class", make === drawLink ? linkClasses(one) : make === drawFrame ? `frame ${classesOf(one)}` : classesOf(one));
    element.of = one;
    shapes.drawn.set(key, element);
  }
  leadHeads(bare);
  drawFar(far ? nodes : [], far ? links : links.filter((p) => !wanted.has(p.key)), box);
}

// Whether a link begins or ends in sight, and does not only pass.
function isEnded(p, box) {
  const x = p.page.left, y = p.page.upper;
  return [p.way.points[0], p.way.points.at(-1)].some((q) => q[0] + x > box[0] && q[0] + x < box[2] && q[1] + y > box[1] && q[1] + y < box[3]);
}

// The title of a frame stays in sight as long as some of the frame is.
function leadHeads([left, top]) {
  for (const item of shapes.heads.keys()) {
    const x = Math.max(0, Math.min(left - item.X, item.w - item.least)), y = Math.max(0, Math.min(top - item.Y, item.h - HEAD));
    shapes.heads.get(item).setAttribute("transform", `translate(${x.toFixed(1)} ${y.toFixed(1)})`);
  }
}

function drawLink(p) {
  return add(layers.links, "path", { d: pathOf(p.way, p.page.left, p.page.upper), ...(p.ends ? { "marker-end": "url(#arrow)" } : {}) });
}

// Boxes and links of one look as one path each; links without the bends that nobody would see.
function drawFar(nodes, links, box) {
  const looks = new Map();
  const put = (look, d) => push(looks, look, d);
  for (const p of links) put(`far-link ${linkClasses(p)}`, straight(p, 2 / view.k, box));
  for (const item of nodes) {
    const width = Math.round(item.w);
    put(classesOf(item), `M${Math.round(item.X)} ${Math.round(item.Y)}h${width}v${item.h}h-${width}z`);
  }
  const rank = (look) => (look.startsWith("far") ? 0 : 1) + (/path|back|hit|selected/.test(look) ? 2 : 0);
  for (const [look, ds] of [...looks].sort((a, b) => rank(a[0]) - rank(b[0]))) {
    if (look.startsWith("far")) add(layers.far, "path", { d: ds.join(""), class: look });
    else add(add(layers.far, "g", { class: look }), "path", { d: ds.join(""), class: "shape" });
  }
}

function straight(p, least, box) {
  const x = p.page.left, y = p.page.upper, points = p.way.points, kept = [points[0]];
  const isOut = (q) => q[1] + y < box[1] || q[1] + y > box[3];
  for (let i = 1; i < points.length; i++) {
    const before = kept.at(-1), next = points[i + 1];
    const isStraight = next && Math.abs(points[i][0] - before[0]) < least && Math.abs(next[0] - before[0]) < least;
    if (!isStraight && !(next && isOut(before) && isOut(points[i]) && isOut(next))) kept.push(points[i]);
  }
  return kept.map((q, i) => `${i ? "L" : "M"}${Math.round(q[0] + x)} ${Math.round(q[1] + y)}`).join("");
}

// New classes for what is drawn, after a selection or a search.
function restyle() {
  for (const element of shapes.drawn.values()) {
    const one = element.of;
    const names = one.way ? linkClasses(one) : one.open ? `frame ${classesOf(one)}` : classesOf(one);
    if (element.getAttribute("class") !== names) element.setAttribute("class", names);
  }
  if (layers.far.firstChild) { view.drawn = null; draw(); }
}

// -- moving ------------------------------------------------------------------------------------------

let waiting = false;
function soon() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => { waiting = false; draw(); });
}

function zoom(factor, x = view.size.width / 2, y = view.size.height / 2) {
  const k = Math.min(3, Math.max(0.02, view.k * factor)), by = k / view.k;
  view.x = x - (x - view.x) * by;
  view.y = y - (y - view.y) * by;
  view.k = k;
  soon();
}

function resized() {
  const box = svg.getBoundingClientRect();
  view.size = { width: Math.max(1, box.width), height: Math.max(1, box.height) };
  view.drawn = null;
  soon();
}

// All of it, as large as it fits.
function fit() {
  const { w, h } = state.tree.root, { width, height } = view.size, edge = 24;
  view.k = Math.max(0.02, Math.min((width - 2 * edge) / Math.max(w, 1), (height - 2 * edge) / Math.max(h, 1), 1.25));
  view.x = (width - w * view.k) / 2;
  view.y = (height - h * view.k) / 2;
  view.drawn = null;
  soon();
}

// All of it if that can be read, or else the upper end: all that is there, or the uppermost node, in the middle.
function start() {
  fit();
  const { items, w } = state.tree.root, least = 0.7;
  if (view.k >= least || !items.length) return;
  view.k = Math.max(least, Math.min(1, (view.size.width - 48) / w));
  const room = view.size.width / view.k, first = items.filter((item) => item.Y < (0.5 * view.size.height) / view.k);
  const left = Math.min(...first.map((item) => item.X)), right = Math.max(...first.map((item) => item.X + item.w));
  const top = shapes.nodes.reduce((best, item) => (item.Y < best.Y ? item : best), shapes.nodes[0] || items[0]);
  const middle = right - left > room - 40 ? Math.max(left + room / 2 - 20, top.X + top.w / 2) : (left + right) / 2;
  view.x = view.size.width / 2 - middle * view.k;
  view.y = 20;
}

function bringIntoSight(item, always = false) {
  const box = boxOf(item), sight = inSight(-0.08);
  const isWhole = box[0] >= sight[0] && box[2] <= sight[2] && box[1] >= sight[1] && box[3] <= sight[3];
  if (!always && view.k > 0.42 && isWhole) return;
  view.k = Math.min(Math.max(view.k, 0.7), 1.25);
  const top = item.open ? item.Y + Math.min(item.h / 2, view.size.height / view.k / 2 - 20) : item.Y + item.h / 2;
  view.x = view.size.width / 2 - (item.X + item.w / 2) * view.k;
  view.y = view.size.height / 2 - top * view.k;
  soon();
}

const pointers = new Map();
let dragged = 0;
svg.addEventListener("pointerdown", (event) => {
  if (event.button) return;
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  dragged = 0;
});
svg.addEventListener("pointermove", (event) => {
  const before = pointers.get(event.pointerId);
  if (!before) return;
  const now = [event.clientX, event.clientY], box = svg.getBoundingClientRect();
  if (pointers.size === 1) { view.x += now[0] - before[0]; view.y += now[1] - before[1]; }
  else {
    const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, p]) => p);
    const span = (p) => Math.hypot(p[0] - other[0], p[1] - other[1]) || 1;
    zoom(span(now) / span(before), (now[0] + other[0]) / 2 - box.left, (now[1] + other[1]) / 2 - box.top);
  }
  dragged += Math.abs(now[0] - before[0]) + Math.abs(now[1] - before[1]);
  if (dragged > 4 && !svg.hasPointerCapture(event.pointerId)) svg.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, now);
  soon();
});
for (const name of ["pointerup", "pointercancel"]) svg.addEventListener(name, (event) => pointers.delete(event.pointerId));
svg.addEventListener("wheel", (event) => {
  event.preventDefault();
  const box = svg.getBoundingClientRect(), unit = event.deltaMode ? 16 : 1;
  if (event.shiftKey) { view.x -= (event.deltaX || event.deltaY) * unit; soon(); }
  else zoom(Math.exp(-event.deltaY * unit * (event.ctrlKey ? 0.01 : 0.0016)), event.clientX - box.left, event.clientY - box.top);
}, { passive: false });
new ResizeObserver(resized).observe(svg);
