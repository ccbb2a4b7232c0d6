"""Repetitions among steps, against a search that tries every place and every period."""

from __future__ import annotations

import time
from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
import pytest

from graphc.lower.repeats import SHORT, Item, Repeat, repeats


def pattern(segment: Sequence[Item]) -> list[Any]:
    """The keys, and the names as numbers in the order in which they come up."""
    number: dict[Hashable, int] = {}
    return [(key, [number.setdefault(name, len(number)) for name in names]) for key, names in segment]


def every_repetition(items: Sequence[Item], least: int) -> list[Repeat]:
    """All that save so many items, by trying every place and every period."""
    found: list[Repeat] = []
    for period in range(1, len(items) // 2 + 1):
        for start in range(len(items) - 2 * period + 1):
            first = pattern(items[start : start + period])
            count = 1
            while (begin := start + count * period) + period <= len(items) and pattern(items[begin : begin + period]) == first:
                count += 1
            repeat = Repeat(start, period, count)
            if count > 1 and repeat.saved >= least:
                found.append(repeat)
    return found


def check(items: Sequence[Item], found: Sequence[Repeat], least: int) -> None:
    stop = 0
    for repeat in found:
        assert repeat.count > 1
        assert repeat.saved >= least
        assert repeat.start >= stop
        stop = repeat.stop
        assert all(pattern(items[i : i + repeat.period]) == pattern(items[repeat.start :][: repeat.period]) for i in repeat.starts)


def program(rng: np.random.Generator, length: int) -> list[Item]:
    """Items of few kinds, which read and write few names: some new, some from shortly before, some from anywhere."""
    items: list[Item] = []
    names = ["x"]
    for i in range(length):
        read = [names[-int(rng.integers(1, min(len(names), 3) + 1))] if rng.random() < 0.8 else str(rng.choice(names)) for _ in range(2)]
        written = [read[0]] if rng.random() < 0.3 else [f"v{i}"]
        items.append((int(rng.integers(2)), [*read[: 1 + int(rng.integers(2))], *written]))
        names += written
    return items


@pytest.mark.parametrize("seed", range(40))
def test_nothing_that_repeats_is_left(seed: int) -> None:
    rng = np.random.default_rng(seed)
    layer = program(rng, int(rng.integers(2, 7)))
    items = program(rng, int(rng.integers(6)))
    for i in range(int(rng.integers(1, 7))):
        items += [(key, [name if name == "x" else f"{name}.{i}" for name in names]) for key, names in layer]
    items = [*items, *program(rng, int(rng.integers(6)))][:SHORT]
    found = repeats(items, least=2)
    check(items, found, 2)
    taken = {i for repeat in found for i in range(repeat.start, repeat.stop)}
    left = [r for r in every_repetition(items, 2) if taken.isdisjoint(range(r.start, r.stop))]
    assert not left, (found, left)


def layers(rng: np.random.Generator, period: int, count: int, kinds: int) -> list[Item]:
    """Layers that read the one before by ``kinds`` kinds of items, a weight each and a constant, and at places the layer before that."""
    shape = [(int(rng.integers(kinds)), int(rng.integers(1, 4)), bool(rng.random() < 0.2)) for _ in range(period)]
    items: list[Item] = []
    for layer in range(count):
        for i, (kind, back, far) in enumerate(shape):
            here = layer * period + i
            reads = [f"h{here - back}" if here >= back else f"x{here - back}", f"w{here}", "c"]
            items.append((kind, [*reads, *([f"h{here - 2 * period}"] if far else []), f"h{here}"]))
    return items


@pytest.mark.parametrize("kinds", [1, 2, 100])
@pytest.mark.parametrize(("period", "count"), [(3, 100), (13, 50), (40, 2), (150, 12)])
@pytest.mark.parametrize("seed", range(3))
def test_layers_are_found_among_other_items(period: int, count: int, kinds: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    before, after = program(rng, int(rng.integers(100))), program(rng, int(rng.integers(100)))
    items = [*before, *layers(rng, period, count, kinds), *after]
    found = repeats(items)
    check(items, found, 16)
    planted = Repeat(len(before), period, count)
    best = max(found, key=lambda repeat: repeat.saved)
    assert best.saved >= 0.9 * planted.saved
    assert best.start < len(before) + period  # layers begin in the first one
    assert best.stop > len(items) - len(after) - period


def dense(depth: int) -> list[Item]:
    """The lines of a forward pass: each layer reads what the one before wrote, and the first an input."""
    items: list[Item] = [("check", ["x"])]
    for i in range(depth):
        h = f"h{i}"
        items += [("dot", [f"h{i - 1}" if i else "x", f"w{i}", h]), ("add", [h, f"b{i}", h]), ("relu", [h, "zero", h])]
    return items


def test_segments_begin_where_layers_begin() -> None:
    assert repeats(dense(20)) == [Repeat(1, 3, 20)]


def test_little_is_left_alone() -> None:
    assert repeats([]) == []
    assert repeats(dense(5)) == []
    assert repeats(dense(8)) == []
    assert repeats(dense(8), least=10) == [Repeat(1, 3, 8)]


def test_a_name_twice_in_one_segment_and_two_names_in_the_next_are_different() -> None:
    items: list[Item] = []
    for i in range(20):
        other = f"a{i}" if i % 2 else f"b{i}"
        items += [("f", [f"a{i}"]), ("g", [other]), ("h", [f"c{i}"])]
    assert [(repeat.period, repeat.count) for repeat in repeats(items)] == [(6, 10)]


def test_two_nets_one_behind_the_other() -> None:
    backward = [(f"{key}'", [f"{name}'" for name in reversed(names)]) for key, names in reversed(dense(50))]
    found = repeats([*dense(50), ("loss", ["h49", "g49"]), *backward])
    assert [(repeat.period, repeat.count) for repeat in found] == [(3, 50), (3, 50)]


def test_the_time_grows_with_the_items() -> None:
    def seconds(depth: int) -> float:
        items = dense(depth)
        begin = time.thread_time()
        repeats(items)
        return time.thread_time() - begin

    seconds(100)
    assert min(seconds(20_000) for _ in range(3)) < 60 * min(seconds(2_000) for _ in range(3))
