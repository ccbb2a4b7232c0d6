// What is seen of a pass: groups that are folded or not, the items in each, and the links between them.

const MANY = 90, FEW = 24, SHOWN_AT_FIRST = 110;

// The pages of a pass: the groups of its nodes, and where a page has too many items, runs of them as groups of their own.
function pagesOf(pass) {
  const root = { key: "", title: "", group: -1, items: [], parent: null, open: true, depth: 0 };
  const pages = new Map([[-1, root]]), home = new Map();
  const page = (g) => {
    if (pages.has(g)) return pages.get(g);
    const info = data.groups[g], parent = page(info.parent);
    const made = { key: `g${g}`, title: info.name, group: g, kind: info.kind, node: info.node, items: [], parent, depth: parent.depth + 1 };
    pages.set(g, made);
    parent.items.push(made);
    return made;
  };
  for (const id of pass.nodes) {
    const node = data.nodes[id];
    if (node.body !== undefined) page(node.body);
    else if (!node.hidden) page(node.g).items.push({ key: `n${id}`, id, w: 0, h: 0 });
  }
  for (const one of [...pages.values()]) divide(one);
  const walk = (one, parent) => {
    one.parent = parent;
    one.depth = parent ? parent.depth + 1 : 0;
    one.count = 0;
    for (const item of one.items) {
      if (item.items) { walk(item, one); one.count += item.count; if (item.node !== undefined) home.set(item.node, item); }
      else { item.page = one; one.count++; home.set(item.id, item); }
    }
  };
  walk(root, null);
  return { root, home };
}

// Runs of items, in the order of the graph, as groups: about as many as there are items in each.
function divide(page) {
  if (page.items.length <= MANY) return;
  const size = Math.max(FEW, Math.ceil(Math.sqrt(page.items.length))), parts = [];
  for (let i = 0; i < page.items.length; i += size) {
    const items = page.items.slice(i, i + size);
    const title = `${nameOf(items[0])} … ${nameOf(items[items.length - 1])}`;
    parts.push({ key: `${page.key}/${i}`, title, group: -2, kind: "run", items });
  }
  page.items = parts;
}

function nameOf(item) {
  return item.items ? item.title : data.nodes[item.id].n;
}

// Unfolds the groups, outermost first, as long as not too much is seen.
function openAtFirst(root, open) {
  const queue = [root];
  let shown = root.items.length;
  while (queue.length) {
    for (const item of queue.shift().items) {
      if (!item.items || shown + item.items.length > SHOWN_AT_FIRST) continue;
      shown += item.items.length;
      open.add(item.key);
      queue.push(item);
    }
  }
}

// Marks what is open, and gives each page its links. Returns the links as the reader sees them, from item to item, each with the
// pieces that it is drawn as, page by page.
function link(pass, { root, home }, open) {
  const shown = new Map();  // of a node: the item that stands for it, and the open pages around that
  const visit = (page, around) => {
    page.open = true;
    page.links = []; page.ports = []; page.door = new Map(); page.piece = new Map();
    const pages = [...around, page];
    for (const item of page.items) {
      item.in = page;
      if (!item.items) shown.set(item.id, { item, pages });
      else {
        item.open = open.has(item.key);
        if (item.node !== undefined) shown.set(item.node, { item, pages });
        if (item.open) visit(item, pages); else hide(item, { item, pages });
      }
    }
  };
  const hide = (page, where) => {
    for (const item of page.items) {
      if (item.items) { if (item.node !== undefined) shown.set(item.node, where); hide(item, where); }
      else shown.set(item.id, where);
    }
  };
  visit(root, []);
  const seen = new Map();
  const add = (u, v, kind) => {
    const a = shown.get(u), b = shown.get(v);
    if (!a || !b || a.item === b.item) return;
    const key = `${a.item.key}>${b.item.key}`;
    let one = seen.get(key);
    if (!one) seen.set(key, one = { from: a.item, to: b.item, pairs: [], pieces: route(a, b), kind });
    for (const p of one.pieces) p.carried = kind === "carried" && p.carried !== false;
    one.pairs.push([u, v]);
  };
  for (const id of pass.nodes) for (const x of data.nodes[id].i) if (home.has(x)) add(x, id, "");
  for (const id of pass.nodes) for (const [after, before] of data.nodes[id].carried || []) add(after, before, "carried");
  return { shown, links: [...seen.values()] };
}

// The pieces of a link: out of the pages around its start, across the innermost page that has both ends, into those around its end.
function route(a, b) {
  let common = 0;
  while (common < a.pages.length && common < b.pages.length && a.pages[common] === b.pages[common]) common++;
  const pieces = [];
  let here = a.item, door = null;
  for (let i = a.pages.length - 1; i >= common; i--) {
    const out = port(a.pages[i], a.item.key, false);
    pieces.push(piece(a.pages[i], here, out, door, null));
    here = a.pages[i]; door = out;
  }
  const doors = b.pages.slice(common).map((page) => port(page, a.item.key, true));
  const first = doors.length ? b.pages[common] : b.item;
  pieces.push(piece(b.pages[common - 1], here, first, door, doors[0] || null));
  doors.forEach((from, i) => {
    const inner = b.pages[common + i + 1];
    pieces.push(piece(b.pages[common + i], from, inner || b.item, null, doors[i + 1] || null));
  });
  return pieces;
}

// A value goes through the border of a group at one place, however many read it.
function port(page, source, upper) {
  const key = `${upper ? "in" : "out"} ${source}`;
  if (!page.door.has(key)) {
    const made = { port: true, upper, w: 10, h: 0, key: key };
    page.door.set(key, made);
    page.ports.push(made);
  }
  return page.door.get(key);
}

function piece(page, from, to, doorOut, doorIn) {
  const by = page.piece, inner = by.get(from) || new Map();
  by.set(from, inner);
  const key = `${to.key} ${doorOut ? doorOut.key : ""} ${doorIn ? doorIn.key : ""}`;
  if (!inner.has(key)) {
    const made = { page, from, to, doorOut, doorIn };
    inner.set(key, made);
    page.links.push(made);
  }
  return inner.get(key);
}
