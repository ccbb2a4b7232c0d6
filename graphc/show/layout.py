"""The plain layered layout: where everything lies when no Graphviz engine works.

After Sugiyama, Tagawa and Toda (1981), kept short: layers are the generations
of the forward graph, a long edge passes through a way point on each layer
between, barycentre sweeps order each layer, and isotonic regression spaces it.
Lengths are in points; y grows downwards. Every direction is laid out downwards
and then turned.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING, Final

from graphc.show import style
from graphc.show.measure import LINE, node_size, text_width
from graphc.show.sketch import Edge, Node, Sketch, edge_lines, pulling
from graphc.show.style import Direction

if TYPE_CHECKING:
    import networkx as nx

_GAP: Final = 22.0
_WAY_GAP: Final = 10.0
_RANK_GAP: Final = 44.0
_SWEEPS: Final = 8
# Beyond so many way points the sweeps take long: such edges then run straight.
_MOST_WAY_POINTS: Final = 20_000

Point = tuple[float, float]
_Pair = tuple[int, int]
_Links = Mapping[int, Sequence[int]]


@dataclass(frozen=True, slots=True)
class Box:
    """A node's place: its centre, its width and its height."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Placement:
    """A box for each node, the points that each edge passes from tail to head, the size of it all, and a box for each cluster."""

    boxes: tuple[Box, ...]
    ways: tuple[tuple[Point, ...], ...]
    width: float
    height: float
    frames: tuple[Box, ...] = ()


def place(sketch: Sketch) -> Placement:
    """Where the sketch's nodes, edges and clusters lie; the same place for the same sketch, always.

    A cluster is laid out on its own and then stands in the layout around it as one node. An edge over its border goes through a port:
    a point of the first or the last layer inside, from which the way to the node goes around the others.
    """
    page = _Page(sketch, "", pulling(sketch))
    boxes = [page.boxes[node.id] for node in sketch.nodes]
    ways = [page.ways[i] for i in range(len(sketch.edges))]
    frames = [page.frames[cluster.id] for cluster in sketch.clusters]
    bottom = max((b.y + b.height / 2 for b in (*boxes, *frames)), default=0.0)
    right = _right((*boxes, *frames), ways)
    turn = _Turn(sketch.direction, bottom)
    width, height = turn.size((right, bottom))
    turned = tuple([tuple(map(turn.point, way)) for way in ways])
    return Placement(tuple(map(turn.box, boxes)), turned, width, height, tuple(map(turn.box, frames)))


@dataclass(frozen=True, slots=True)
class _Turn:
    """From a layout that runs downwards to one in another direction; ``bottom`` is how far it runs."""

    direction: Direction
    bottom: float

    def point(self, at: Point) -> Point:
        x, y = at
        if self.direction in ("BT", "RL"):
            y = self.bottom - y
        return (y, x) if is_level(self.direction) else (x, y)

    def size(self, size: Point) -> Point:
        return (size[1], size[0]) if is_level(self.direction) else size

    def box(self, box: Box) -> Box:
        return Box(*self.point((box.x, box.y)), *self.size((box.width, box.height)))


def is_level(direction: Direction) -> bool:
    """Whether forward edges run from side to side."""
    return direction in ("LR", "RL")


_PAD: Final = 12.0
_HEAD: Final = 26.0
"""Room for the title of a cluster."""
_WIDEST_LABEL: Final = 150.0
"""Room between layers side by side that the longest label is given at most."""
_PORT: Final = 30.0
"""Width of a port: an edge and its reverse go through it side by side."""


class _Page:
    """A cluster, or the whole picture, laid out: boxes and ways relative to its upper left corner.

    ``ends`` has for each edge over the border the points from the border to the node inside.
    """

    def __init__(self, sketch: Sketch, cluster: str, pulls: Sequence[tuple[str, str] | None]) -> None:
        self.sketch, self.cluster, self.pulls = sketch, cluster, pulls
        nodes = [node for node in sketch.nodes if node.cluster == cluster]
        self.inner = [_Page(sketch, c.id, pulls) for c in sketch.clusters if c.parent == cluster]
        self.item = {node.id: i for i, node in enumerate(nodes)}
        self.own = frozenset(self.item)
        turn = _Turn(sketch.direction, 0.0)
        self.sizes = [turn.size(node_size(node)) for node in nodes]
        for page in self.inner:
            self.item |= dict.fromkeys(page.item, len(self.sizes))
            self.sizes.append(page.size)
        self.boxes: dict[str, Box] = {}
        self.frames: dict[str, Box] = {}
        self.ways: dict[int, list[Point]] = {}
        self.ends: dict[int, list[Point]] = {}
        self._lay_out(nodes)

    def _lay_out(self, nodes: Sequence[Node]) -> None:
        edges = [i for i, e in enumerate(self.sketch.edges) if self._is_mine(e)]
        ports, pairs = self._ports(edges)
        drawn = [self.sketch.edges[i] for i in edges]
        pulls = [self.pulls[i] for i in edges]
        joined = zip(pairs, pulls, drawn, strict=True)
        forward = [pair if pull[0] == edge.tail else (pair[1], pair[0]) for pair, pull, edge in joined if pull is not None]
        sizes = dict(enumerate([*self.sizes, *[(_PORT, 0.0)] * len(ports)]))
        boxes, ways = _arranged(sizes, pairs, forward, drawn, ports, self.sketch.direction)
        self.size = self._framed(boxes, ways)
        right, down = self._pads()[:2] if self.cluster else (0.0, 0.0)
        boxes = [Box(b.x + right, b.y + down, b.width, b.height) for b in boxes]
        self.boxes |= {node.id: box for node, box in zip(nodes, boxes, strict=False)}
        for page, box in zip(self.inner, boxes[len(nodes) :], strict=False):
            self._take(page, box)
        for i, pair, way in zip(edges, pairs, ways, strict=True):
            self._lead(i, pair, [(x + right, y + down) for x, y in way], ports)

    def _is_mine(self, edge: Edge) -> bool:
        """Whether the edge is drawn at this level: not outside, and not inside of one cluster."""
        tail, head = self.item.get(edge.tail), self.item.get(edge.head)
        inside = tail is not None and tail == head and edge.tail not in self.own
        return (tail is not None or head is not None) and not inside

    def _ports(self, edges: Sequence[int]) -> tuple[dict[int, bool], list[_Pair]]:
        """The ports, and whether they are at the top; the two items that each edge joins."""
        number: dict[tuple[int, str], int] = {}
        ports: dict[int, bool] = {}
        pairs: list[_Pair] = []
        for i in edges:
            edge = self.sketch.edges[i]
            tail, head = self.item.get(edge.tail), self.item.get(edge.head)
            inner, outer = (head, edge.tail) if tail is None else (tail, edge.head)
            if tail is not None and head is not None:
                pairs.append((tail, head))
                continue
            assert inner is not None
            key = inner, outer
            if key not in number:
                number[key] = len(self.sizes) + len(number)
                ports[number[key]] = (tail is None) == self._runs_down(i)
            pairs.append((number[key] if tail is None else tail, number[key] if head is None else head))
        return ports, pairs

    def _runs_down(self, edge: int) -> bool:
        pull = self.pulls[edge]
        return self.sketch.edges[edge].kind == "forward" if pull is None else pull[0] == self.sketch.edges[edge].tail

    def _framed(self, boxes: Sequence[Box], ways: Sequence[Sequence[Point]]) -> Point:
        bottom = max((b.y + b.height / 2 for b in boxes), default=0.0)
        title = max([text_width(c.title, style.LABEL_SIZE) for c in self.sketch.clusters if c.id == self.cluster], default=0.0)
        across, along = (0.0, title) if is_level(self.sketch.direction) else (title, 0.0)
        left, top, right, down = self._pads()
        return max(_right(boxes, ways), across) + left + right, max(bottom, along) + top + down

    def _pads(self) -> tuple[float, float, float, float]:
        """Room to the left, at the top, to the right and at the bottom, before the layout is turned: the title is at the top after it."""
        direction = self.sketch.direction
        top, bottom = (_HEAD, _PAD) if direction == "TB" else (_PAD, _HEAD if direction == "BT" else _PAD)
        return _HEAD if is_level(direction) else _PAD, top, _PAD, bottom

    def _take(self, page: _Page, box: Box) -> None:
        """Take over what lies inside of a cluster, now that it has its place."""
        left, top = box.x - box.width / 2, box.y - box.height / 2
        self.frames[page.cluster] = box
        self.boxes |= {name: _moved(b, left, top) for name, b in page.boxes.items()}
        self.frames |= {name: _moved(b, left, top) for name, b in page.frames.items()}
        self.ways |= {i: [(x + left, y + top) for x, y in way] for i, way in page.ways.items()}
        page.ends = {i: [(x + left, y + top) for x, y in way] for i, way in page.ends.items()}

    def _lead(self, edge: int, pair: _Pair, way: list[Point], ports: Mapping[int, bool]) -> None:
        """Lead an edge into the clusters where it ends, and over the border of this one."""
        first = len(self.sizes) - len(self.inner)
        for page, item in zip(self.inner, range(first, len(self.sizes)), strict=True):
            if pair[0] == item:
                way = [*reversed(page.ends[edge]), *way[1:]]
            if pair[1] == item:
                way = [*way[:-1], *page.ends[edge]]
        port = next((item for item in pair if item in ports), None)
        if port is None:
            self.ways[edge] = way
            return
        inward = way if pair[0] == port else way[::-1]
        self.ends[edge] = [(inward[0][0], 0.0 if ports[port] else self.size[1]), *inward]


def _moved(box: Box, right: float, down: float) -> Box:
    return Box(box.x + right, box.y + down, box.width, box.height)


def _arranged(
    sizes: Mapping[int, Point],
    pairs: Sequence[_Pair],
    forward: Sequence[_Pair],
    edges: Sequence[Edge],
    ports: Mapping[int, bool],
    direction: Direction,
) -> tuple[list[Box], list[tuple[Point, ...]]]:
    """The boxes of items of these sizes, and the ways of the edges between them."""
    ranks = _ranks(len(sizes), forward, ports)
    chains, layers = _chains(pairs, ranks)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    above, below = _grouped((low, high) for high, low in links), _grouped(links)
    layers = _ordered(layers, above, below)
    labels = [_Turn(direction, 0.0).size(label_size(edge)) for edge in edges]
    xs = _across(layers, _halves(edges, pairs, sizes, labels), above, below)
    ys = _down(layers, sizes, min(max([down for _, down in labels], default=0.0), _WIDEST_LABEL))
    boxes = [Box(xs[i], ys[i], *sizes[i]) for i in range(len(sizes))]
    return boxes, list(_ways(boxes, pairs, chains, {point: (xs[point], ys[point]) for point in xs}))


def _grouped(links: Iterable[_Pair]) -> _Links:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for one, other in links:
        groups[one].append(other)
    return groups


# -- layers --------------------------------------------------------------------------------------


# A source stands right above its first reader and not in the top row with all other sources.
def _ranks(size: int, forward: Sequence[_Pair], ports: Mapping[int, bool]) -> list[int]:
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from(forward)
    if not nx.is_directed_acyclic_graph(graph):
        # A picture always comes: of a cycle only what follows the order of the nodes counts.
        graph.remove_edges_from([(tail, head) for tail, head in forward if tail >= head])
    ranks = {node: rank for rank, layer in enumerate(nx.topological_generations(graph)) for node in layer}
    last = max(ranks.values(), default=0)
    return [(0 if ports[node] else last) if node in ports else _pulled(node, graph, ranks) for node in range(size)]


def _pulled(node: int, graph: nx.DiGraph[int], ranks: Mapping[int, int]) -> int:
    if graph.in_degree(node) or not graph.out_degree(node):
        return ranks[node]
    return min(ranks[reader] for reader in graph.successors(node)) - 1


# Each pair of joined nodes has one chain of points from the upper to the lower.
def _chains(pairs: Sequence[_Pair], ranks: Sequence[int]) -> tuple[dict[_Pair, list[int]], list[list[int]]]:
    layers: list[list[int]] = [[] for _ in range(max(ranks, default=-1) + 1)]
    for node, rank in enumerate(ranks):
        layers[rank].append(node)
    joined = list(dict.fromkeys(_downwards(pair, ranks) for pair in pairs if ranks[pair[0]] != ranks[pair[1]]))
    if sum(ranks[low] - ranks[high] - 1 for high, low in joined) > _MOST_WAY_POINTS:
        return {pair: list(pair) for pair in joined}, layers
    fresh = count(len(ranks))
    return {pair: _chain(pair, ranks, layers, fresh) for pair in joined}, layers


def _downwards(pair: _Pair, ranks: Sequence[int]) -> _Pair:
    tail, head = pair
    return pair if ranks[tail] < ranks[head] else (head, tail)


def _chain(pair: _Pair, ranks: Sequence[int], layers: list[list[int]], fresh: Iterator[int]) -> list[int]:
    high, low = pair
    between = range(ranks[high] + 1, ranks[low])
    points = [point for _, point in zip(between, fresh, strict=False)]
    for rank, point in zip(between, points, strict=True):
        layers[rank].append(point)
    return [high, *points, low]


def _ordered(layers: list[list[int]], above: _Links, below: _Links) -> list[list[int]]:
    spot = {point: float(i) for layer in layers for i, point in enumerate(layer)}
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        links = above if downward else below
        for rank in range(len(layers)) if downward else reversed(range(len(layers))):
            layers[rank] = sorted(layers[rank], key=lambda point: _mean(links.get(point, ()), spot, spot[point]))
            spot.update((point, float(i)) for i, point in enumerate(layers[rank]))
    return layers


def _mean(points: Sequence[int], values: Mapping[int, float], otherwise: float) -> float:
    return sum(values[point] for point in points) / len(points) if points else otherwise


# -- coordinates ---------------------------------------------------------------------------------


# Halfway down to a common reader two labels are half as far apart as their nodes: so each asks for its whole width.
def _halves(edges: Sequence[Edge], pairs: Sequence[_Pair], sizes: Mapping[int, Point], labels: Sequence[Point]) -> dict[int, float]:
    halves = {node: width / 2 for node, (width, _) in sizes.items()}
    for (tail, head), edge, (across, _) in zip(pairs, edges, labels, strict=True):
        upper = tail if edge.kind == "forward" else head
        halves[upper] = max(halves[upper], across)
    return halves


def _across(layers: list[list[int]], halves: Mapping[int, float], above: _Links, below: _Links) -> dict[int, float]:
    half = {point: halves[point] + _GAP / 2 if point in halves else _WAY_GAP / 2 for row in layers for point in row}
    gaps = [[half[one] + half[other] for one, other in pairwise(layer)] for layer in layers]
    xs = {p: x for layer, gap in zip(layers, gaps, strict=True) for p, x in zip(layer, accumulate(gap, initial=0.0), strict=False)}
    for sweep in range(_SWEEPS):
        downward = sweep % 2 == 0
        links = above if downward else below
        for rank in range(len(layers)) if downward else reversed(range(len(layers))):
            wished = [_mean(links.get(point, ()), xs, xs[point]) for point in layers[rank]]
            xs.update(zip(layers[rank], spaced(wished, gaps[rank]), strict=True))
    left = min((xs[point] - half[point] for point in xs), default=0.0)
    return {point: x - left for point, x in xs.items()}


def spaced(wished: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """The places nearest to those ``wished`` (least squares) with at least ``gaps`` between neighbours.

    Less the running sum of the gaps this is isotonic regression, which pooling
    adjacent violators solves exactly (Ayer et al., 1955).
    """
    shifts = list(accumulate(gaps, initial=0.0))[: len(wished)]
    pools: list[tuple[float, int]] = []
    for wish, shift in zip(wished, shifts, strict=True):
        pools.append((wish - shift, 1))
        while len(pools) > 1 and pools[-2][0] > pools[-1][0]:
            (one, few), (other, many) = pools.pop(-2), pools.pop()
            pools.append(((one * few + other * many) / (few + many), few + many))
    level = [mean for mean, size in pools for _ in range(size)]
    return [mean + shift for mean, shift in zip(level, shifts, strict=True)]


def _down(layers: Sequence[Sequence[int]], sizes: Mapping[int, Point], room: float) -> dict[int, float]:
    heights = [max((sizes[point][1] for point in layer if point in sizes), default=0.0) for layer in layers]
    tops = accumulate((height + _RANK_GAP + room for height in heights), initial=0.0)
    return {p: top + height / 2 for layer, height, top in zip(layers, heights, tops, strict=False) for p in layer}


def label_size(edge: Edge) -> Point:
    """Width and height of an edge's label; 0 if it has none."""
    lines = edge_lines(edge)
    return max([text_width(line, style.LABEL_SIZE) for line in lines], default=0.0), LINE * style.LABEL_SIZE * len(lines)


# -- edges ---------------------------------------------------------------------------------------


# Edges between the same two nodes run side by side: -0.5 and 0.5 for two, -1, 0 and 1 for three.
def _lanes(pairs: Sequence[_Pair]) -> list[float]:
    lanes: defaultdict[frozenset[int], list[int]] = defaultdict(list)
    for index, pair in enumerate(pairs):
        lanes[frozenset(pair)].append(index)
    lane = {index: i - (len(group) - 1) / 2 for group in lanes.values() for i, index in enumerate(group)}
    return [lane[index] for index in range(len(pairs))]


def _ways(
    boxes: Sequence[Box], pairs: Sequence[_Pair], chains: Mapping[_Pair, Sequence[int]], spots: Mapping[int, Point]
) -> Iterator[tuple[Point, ...]]:
    for (tail, head), lane in zip(pairs, _lanes(pairs), strict=True):
        chain = chains.get((tail, head)) or chains.get((head, tail), ())[::-1]
        between = [spots[point] for point in chain[1:-1]]
        yield _way(boxes[tail], boxes[head], between, lane) if chain else _sideways(boxes[tail], boxes[head])


def _way(tail: Box, head: Box, between: Sequence[Point], lane: float) -> tuple[Point, ...]:
    aside = lane * min(18.0, tail.width / 3, head.width / 3)
    moved = ((x + aside, y) for x, y in between)
    side = 0.5 if head.y > tail.y else -0.5
    return (tail.x + aside, tail.y + side * tail.height), *moved, (head.x + aside, head.y - side * head.height)


# Nodes of the same row, and a node with itself: over the top.
def _sideways(tail: Box, head: Box) -> tuple[Point, ...]:
    start, end = (tail.x + tail.width / 4, tail.y - tail.height / 2), (head.x - head.width / 4, head.y - head.height / 2)
    return start, ((start[0] + end[0]) / 2, min(start[1], end[1]) - _RANK_GAP / 2), end


def _right(boxes: Sequence[Box], ways: Sequence[Sequence[Point]]) -> float:
    return max([*(box.x + box.width / 2 for box in boxes), *(x for way in ways for x, _ in way)], default=0.0)
