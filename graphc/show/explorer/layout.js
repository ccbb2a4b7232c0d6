// Where things lie. A page (the graph, or an unfolded group) is laid out by itself and then stands in the page around it as one
// item. After Sugiyama, Tagawa and Toda (1981): layers by longest path, a way point on each layer that a long link passes,
// barycentre sweeps that keep the order with the fewest crossings, and isotonic regression for the places across.

const GAP = 18, WAY_GAP = 10, LAYER_GAP = 36, PAD = 14, HEAD = 30, MOST_WAY_POINTS = 6000;

// Links that are `carried` to the next step do not pull.
//
// A page has `items` (each with w and h), `links` ({from, to}) between items and ports, and `ports`, which are points of its upper
// or lower border. Afterwards items and ports have x and y (of the centre) within the page, links have `way`, the page w and h.
function layOut(page) {
  for (const item of page.items) if (item.open) layOut(item);
  const vertices = [...page.items, ...page.ports];
  vertices.forEach((v, i) => { v.at = i; v.point = false; });
  const layers = layersOf(page, vertices);
  chainsOf(page, layers);
  const sweeps = layers.reduce((sum, layer) => sum + layer.length, 0) > 1500 ? 4 : 12;
  order(layers, sweeps);
  placeAcross(layers, sweeps);
  const tops = placesDown(layers);
  const left = page.parent ? PAD : 0, top = page.parent ? HEAD : 0;
  layers.forEach((layer, rank) => {
    for (const v of layer) {
      v.x += left;
      v.y = top + (tops[rank].top + tops[rank].bottom) / 2;
      v.top = top + tops[rank].top;
      v.bottom = top + tops[rank].bottom;
    }
  });
  let right = 0, low = 0;
  for (const layer of layers) for (const v of layer) { right = Math.max(right, v.x + v.w / 2); low = Math.max(low, v.bottom); }
  page.w = Math.max(right + left, page.parent ? page.least : 0);
  page.h = low + (page.parent ? PAD : 0);
  for (const port of page.ports) port.y = port.upper ? 0 : page.h;
  ways(page);
}

function layersOf(page, vertices) {
  const size = page.items.length;
  const out = vertices.map(() => []);
  for (const { from, to, carried } of page.links) if (!from.port && !to.port && from !== to && !carried) out[from.at].push(to.at);
  forward(out, size);
  const rank = new Int32Array(vertices.length), waits = new Int32Array(size);
  for (let i = 0; i < size; i++) for (const j of out[i]) waits[j]++;
  const ready = [];
  for (let i = 0; i < size; i++) if (!waits[i]) ready.push(i);
  const sources = new Set(ready);
  for (let k = 0; k < ready.length; k++) {
    for (const j of out[ready[k]]) {
      rank[j] = Math.max(rank[j], rank[ready[k]] + 1);
      if (!--waits[j]) ready.push(j);
    }
  }
  for (const { from, to } of page.links) if (from.port) sources.delete(to.at);
  // a source stands right above its first reader
  for (const i of sources) if (out[i].length) rank[i] = Math.min(...out[i].map((j) => rank[j])) - 1;
  const upper = page.ports.some((p) => p.upper) ? 1 : 0;
  let last = 0;
  for (let i = 0; i < size; i++) last = Math.max(last, rank[i] += upper);
  const layers = Array.from({ length: last + 1 + (page.ports.some((p) => !p.upper) ? 1 : 0) }, () => []);
  for (const v of vertices) {
    v.rank = v.port ? (v.upper ? 0 : layers.length - 1) : rank[v.at];
    layers[v.rank].push(v);
  }
  return layers;
}

// Takes out of `out` what closes a cycle; groups may have some, graphs have none.
function forward(out, size) {
  const state = new Uint8Array(size), stack = [];
  for (let root = 0; root < size; root++) {
    if (state[root]) continue;
    stack.push([root, 0]);
    state[root] = 1;
    while (stack.length) {
      const top = stack[stack.length - 1], next = out[top[0]][top[1]];
      if (next === undefined) { state[top[0]] = 2; stack.pop(); continue; }
      if (state[next] === 1) { out[top[0]].splice(top[1], 1); continue; }
      top[1]++;
      if (!state[next]) { state[next] = 1; stack.push([next, 0]); }
    }
  }
}

// For each link its vertices and way points from the upper end to the lower; links of the same two ends share them.
function chainsOf(page, layers) {
  const chains = new Map();
  let points = 0;
  for (const link of page.links) {
    const { from, to } = link;
    if (from.rank === to.rank) { link.chain = null; continue; }
    const [high, low] = from.rank < to.rank ? [from, to] : [to, from];
    const key = high.at * 1e6 + low.at;
    let chain = chains.get(key);
    if (!chain) {
      chain = [high];
      points += low.rank - high.rank - 1;
      for (let r = high.rank + 1; r < low.rank && points < MOST_WAY_POINTS; r++) {
        const point = { point: true, w: 0, h: 0, rank: r };
        layers[r].push(point);
        chain.push(point);
      }
      chain.push(low);
      chains.set(key, chain);
    }
    link.chain = chain;
  }
  for (const layer of layers) for (const v of layer) { v.above = []; v.below = []; }
  for (const chain of chains.values()) {
    for (let i = 1; i < chain.length; i++) { chain[i].above.push(chain[i - 1]); chain[i - 1].below.push(chain[i]); }
  }
}

function order(layers, sweeps) {
  const number = (layer) => layer.forEach((v, i) => { v.spot = i; });
  layers.forEach(number);
  let best = Infinity, kept = null;
  for (let sweep = 0; sweep <= sweeps && best > 0; sweep++) {
    if (sweep) {
      const down = sweep % 2 === 1;
      for (const layer of down ? layers : [...layers].reverse()) {
        for (const v of layer) {
          const near = down ? v.above : v.below;
          v.wish = near.length ? near.reduce((sum, o) => sum + o.spot, 0) / near.length : v.spot;
        }
        layer.sort((a, b) => a.wish - b.wish || a.spot - b.spot);
        number(layer);
      }
    }
    const count = crossings(layers);
    if (count < best) { best = count; kept = layers.map((layer) => layer.slice()); }
  }
  if (kept) kept.forEach((layer, i) => { layers[i].splice(0, layer.length, ...layer); number(layers[i]); });
}

// Links that cross, counted as inversions with a Fenwick tree.
function crossings(layers) {
  let total = 0;
  for (let r = 1; r < layers.length; r++) {
    const size = layers[r].length, tree = new Int32Array(size + 1);
    let seen = 0;
    for (const v of layers[r - 1]) {
      for (const o of v.below) if (o.rank === r) { total += seen; for (let i = o.spot + 1; i; i -= i & -i) total -= tree[i]; }
      for (const o of v.below) if (o.rank === r) { seen++; for (let i = o.spot + 1; i <= size; i += i & -i) tree[i]++; }
    }
  }
  return total;
}

function placeAcross(layers, sweeps) {
  const half = (v) => (v.point ? WAY_GAP / 2 : v.w / 2 + GAP / 2);
  for (const layer of layers) {
    let edge = 0;
    for (const v of layer) { v.half = half(v); v.x = edge + v.half; edge += 2 * v.half; }
  }
  for (let sweep = 0; sweep < sweeps; sweep++) {
    const down = sweep % 2 === 0, last = sweep >= sweeps - 2;
    for (const layer of down ? layers : [...layers].reverse()) {
      for (const v of layer) {
        const sum = middle(v.above, down || last) + middle(v.below, !down || last);
        const count = (down || last ? v.above.length : 0) + (!down || last ? v.below.length : 0);
        v.wish = count ? sum / count : v.x;
        // a way point follows its chain, so that long links run straight
        v.weight = v.point ? 4 : Math.max(0.1, count);
      }
      space(layer);
    }
  }
  let left = Infinity;
  for (const layer of layers) for (const v of layer) left = Math.min(left, v.x - v.half);
  for (const layer of layers) for (const v of layer) v.x -= left;
}

function middle(near, counts) {
  let sum = 0;
  if (counts) for (const v of near) sum += v.x;
  return sum;
}

// The places nearest to the wishes (weighted least squares) with room between neighbours: less the running sum of the gaps this
// is isotonic regression, which pooling adjacent violators solves (Ayer et al., 1955).
function space(layer) {
  const pools = [];
  let shift = 0;
  layer.forEach((v, i) => {
    shift += i ? layer[i - 1].half + v.half : 0;
    v.shift = shift;
    let pool = { mean: v.wish - shift, weight: v.weight, size: 1 };
    while (pools.length && pools[pools.length - 1].mean > pool.mean) {
      const last = pools.pop(), weight = last.weight + pool.weight;
      pool = { mean: (last.mean * last.weight + pool.mean * pool.weight) / weight, weight, size: last.size + pool.size };
    }
    pools.push(pool);
  });
  let at = 0;
  for (const pool of pools) for (let i = 0; i < pool.size; i++, at++) layer[at].x = pool.mean + layer[at].shift;
}

function placesDown(layers) {
  const tops = [];
  let y = 0;
  layers.forEach((layer, rank) => {
    const height = Math.max(0, ...layer.map((v) => v.h));
    tops.push({ top: y, bottom: y + height });
    const slanted = layer.reduce((sum, v) => sum + v.below.length, 0);
    y += height + (rank === layers.length - 1 ? 0 : Math.min(96, LAYER_GAP + 1.5 * slanted));
  });
  return tops;
}

// The ways of the links, as points in the page: of each layer that a link passes, where it comes in and where it goes out.
function ways(page) {
  const entries = new Map(), exits = new Map();
  for (const link of page.links) {
    if (!link.chain) continue;
    const down = link.from.rank < link.to.rank;
    const [after, before] = down ? [link.chain[1], link.chain.at(-2)] : [link.chain.at(-2), link.chain[1]];
    push(entries, link.to, { link, x: before.x });
    push(exits, link.from, { link, x: after.x });
  }
  for (const [v, ends] of entries) spread(v, ends, (link, x) => { link.inX = x; });
  for (const [v, ends] of exits) spread(v, ends, (link, x) => { link.outX = x; });
  for (const link of page.links) link.way = wayOf(link);
}

function push(map, key, value) {
  if (map.has(key)) map.get(key).push(value); else map.set(key, [value]);
}

// Several links meet an item side by side; a value leaves its node at one point, an unfolded group at its ports.
function spread(v, ends, set) {
  ends.sort((a, b) => a.x - b.x);
  const step = Math.min(14, (v.w * 0.7) / ends.length);
  ends.forEach(({ link }, i) => set(link, v.port ? v.x : v.x + (i - (ends.length - 1) / 2) * step));
}

function wayOf(link) {
  const { from, to, chain } = link;
  const doorOut = link.doorOut, doorIn = link.doorIn;
  const x0 = doorOut ? from.x - from.w / 2 + doorOut.x : from.group === undefined ? from.x : link.outX ?? from.x;
  const x1 = doorIn ? to.x - to.w / 2 + doorIn.x : link.inX ?? to.x;
  if (!chain || from.rank > to.rank) {  // side by side, or against the order: out below, and in from above
    const y0 = from.port ? from.y : from.y + from.h / 2, y1 = to.port ? to.y : to.y - to.h / 2;
    return { back: true, points: [[x0, y0], [x1, y1]] };
  }
  const points = [[x0, from.port ? from.y : from.y + from.h / 2], [x0, from.bottom]];
  for (const v of chain.slice(1, -1)) points.push([v.x, v.top], [v.x, v.bottom]);
  points.push([x1, to.top], [x1, to.port ? to.y : to.y - to.h / 2]);
  return { back: false, points };
}

// A way as an SVG path, moved to where its page lies: curves between layers, straight lines within them.
function pathOf(way, dx, dy) {
  const at = (p) => `${(p[0] + dx).toFixed(1)} ${(p[1] + dy).toFixed(1)}`;
  const points = way.points;
  let d = `M${at(points[0])}`;
  if (way.back) {
    const [a, b] = points, side = Math.max(a[0], b[0]) + 70, middle = [side, (a[1] + b[1]) / 2];
    return `${d}C${at([a[0], a[1] + 50])} ${at([side, a[1] + 50])} ${at(middle)}S${at([b[0], b[1] - 50])} ${at(b)}`;
  }
  for (let i = 1; i < points.length; i++) {
    const p = points[i - 1], q = points[i];
    if (i % 2) d += p[1] === q[1] ? "" : `L${at(q)}`;
    else { const mid = (p[1] + q[1]) / 2; d += `C${at([p[0], mid])} ${at([q[0], mid])} ${at(q)}`; }
  }
  return d;
}
