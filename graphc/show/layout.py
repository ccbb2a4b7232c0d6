"""The plain layered layout: where everything lies when no Graphviz engine works.

After Sugiyama, Tagawa and Toda (1981), kept short: layers are the generations
of the forward graph, a long edge passes through a way point on each layer
between, barycentre sweeps order each layer, and isotonic regression spaces it.
Lengths are in points; y grows downwards.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, count, pairwise
from typing import TYPE_CHECKING, Final

from graphc.show import style
from graphc.show.measure import LINE, node_size, text_width
from graphc.show.sketch import Edge, Sketch, one_line

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
    """A box for each node, the points that each edge passes from tail to head, and the size of it all."""

    boxes: tuple[Box, ...]
    ways: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def place(sketch: Sketch) -> Placement:
    """Where the sketch's nodes and edges lie; the same place for the same sketch, always."""
    number = {node.id: i for i, node in enumerate(sketch.nodes)}
    pairs = [(number[e.tail], number[e.head]) for e in sketch.edges]
    ranks = _ranks(len(sketch.nodes), [p for p, e in zip(pairs, sketch.edges, strict=True) if e.kind != "reversed"])
    chains, layers = _chains(pairs, ranks)
    links = [link for chain in chains.values() for link in pairwise(chain)]
    above, below = _grouped((low, high) for high, low in links), _grouped(links)
    layers = _ordered(layers, above, below)
    sizes = dict(enumerate(map(node_size, sketch.nodes)))
    xs = _across(layers, _halves(sketch, pairs, sizes), above, below)
    ys = _down(layers, sizes, _label_room(sketch.edges))
    boxes = tuple(Box(xs[i], ys[i], *sizes[i]) for i in range(len(sketch.nodes)))
    ways = tuple(_ways(boxes, pairs, chains, {point: (xs[point], ys[point]) for point in xs}))
    return Placement(boxes, ways, _right(boxes, ways), max((b.y + b.height / 2 for b in boxes), default=0.0))


def _grouped(links: Iterable[_Pair]) -> _Links:
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for one, other in links:
        groups[one].append(other)
    return groups


# -- layers --------------------------------------------------------------------------------------


# A source stands right above its first reader and not in the top row with all other sources.
def _ranks(size: int, forward: Sequence[_Pair]) -> list[int]:
    import networkx as nx

    graph: nx.DiGraph[int] = nx.DiGraph()
    graph.add_nodes_from(range(size))
    graph.add_edges_from(forward)
    if not nx.is_directed_acyclic_graph(graph):
        # A picture always comes: of a cycle only what follows the order of the nodes counts.
        graph.remove_edges_from([(tail, head) for tail, head in forward if tail >= head])
    ranks = {node: rank for rank, layer in enumerate(nx.topological_generations(graph)) for node in layer}
    return [_pulled(node, graph, ranks) for node in range(size)]


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
def _halves(sketch: Sketch, pairs: Sequence[_Pair], sizes: Mapping[int, Point]) -> dict[int, float]:
    halves = {node: width / 2 for node, (width, _) in sizes.items()}
    for (tail, head), edge in zip(pairs, sketch.edges, strict=True):
        upper = head if edge.kind == "reversed" else tail
        halves[upper] = max(halves[upper], text_width(one_line(edge.label), style.LABEL_SIZE))
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


def _label_room(edges: Sequence[Edge]) -> float:
    return LINE * style.LABEL_SIZE if any(edge.label for edge in edges) else 0.0


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
