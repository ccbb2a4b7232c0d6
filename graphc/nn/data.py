"""What models are given: arrays, or batches that come one by one, as flat lists of arrays and the layout that they have.

A sample has inputs ``x``, perhaps targets ``y`` and perhaps weights; each is an array, or a list or dict of arrays with one first axis.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from graphc.core import Input, Tensor, dtypes, sizes, tree
from graphc.core.errors import ArgumentError, UnfinishedError, warn
from graphc.core.leaf import input
from graphc.feed import Batches
from graphc.feed.batches import whole_number
from graphc.nn.position import Position

Array: TypeAlias = np.ndarray[Any, Any]
BATCH_SIZE = 32
"""Samples in a step if nothing is said, as in Keras."""


class Layout:
    """How the arrays of a batch are put together: ``x``, ``y`` and weights as structures of places. Equal ones compare equal."""

    def __init__(self, x: Any, y: Any = None, weight: Any = None) -> None:
        leaves, refill = tree.flatten((x, y, weight))
        self.places = refill(range(len(leaves)))
        self.forms = tuple([(leaf.shape[1:], leaf.dtype.name) for leaf in leaves])
        self._refill = refill
        self._key = repr((self.places, self.forms))

    def filled(self, leaves: Sequence[Any]) -> tuple[Any, Any, Any]:
        """``x``, ``y`` and weights with these leaves."""
        return self._refill(leaves)

    def inputs(self, like_x: Sequence[Tensor], like_y: Sequence[Tensor]) -> list[Input]:
        """An input for each array. Sizes that have names in the tensors of a model, where it is known, have these names.

        The batch is a named size, unless the model has a number for it.
        """
        x, y, _ = self.filled(range(len(self.forms)))
        likes: dict[int, Tensor] = {}
        for places, tensors in ((x, like_x), (y, like_y)):
            found = tree.flatten(places)[0]
            if len(found) == len(tensors):
                likes |= dict(zip(found, tensors, strict=True))
        if len(like_y) == 1:
            likes = dict.fromkeys(range(len(self.forms)), like_y[0]) | likes
        labels = [
            f"{name}{i or ''}" for name, part in zip(("x", "y", "weight"), (x, y, self.places[2]), strict=True) for i in range(_count(part))
        ]
        fixed = next((like.shape[0] for like in like_x if like.ndim and isinstance(like.shape[0], int)), None)
        return [_input(label, *form, likes.get(place), fixed) for place, (label, form) in enumerate(zip(labels, self.forms, strict=True))]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Layout) and self._key == other._key

    def __hash__(self) -> int:
        return hash(self._key)


def _count(structure: Any) -> int:
    return len(tree.flatten(structure)[0])


def _input(label: str, shape: tuple[int, ...], dtype: str, like: Tensor | None, fixed: int | None) -> Input:
    given: list[Any] = list(shape)
    if like is not None:
        for axis, size in enumerate(like.shape[1:]):
            if axis < len(given) and not isinstance(size, int):
                given[axis] = size
    named = like.shape[0] if like is not None and like.ndim and isinstance(like.shape[0], sizes.Size) else "batch"
    return input(label, (named if fixed is None else fixed, *given), "float32" if dtype == "float64" else dtype)


def arrays_of(what: str, structure: Any) -> Any:
    """The structure with arrays for leaves: a list of numbers is one array. Raises :class:`ArgumentError` for what has no samples."""
    if structure is None or isinstance(structure, Mapping):
        given = cast("Mapping[Any, Any] | None", structure)
        return None if given is None else {key: arrays_of(what, value) for key, value in given.items()}
    if isinstance(structure, list | tuple):
        items = cast("Sequence[Any]", structure)
        if items and all(item is None or (hasattr(item, "__array__") and np.ndim(item)) for item in items):
            return tuple([None if item is None else arrays_of(what, item) for item in items])
    if isinstance(structure, Tensor):
        raise ArgumentError(f"{what} is a graph, {structure!r}", fits="values: arrays")
    array: Array = np.asarray(cast("Any", structure))
    if array.dtype.kind not in "biufc" and "bfloat16" not in array.dtype.name:
        raise ArgumentError(
            f"{what} has values of dtype {array.dtype}", fits="an array of numbers, whose first axis is that of the samples"
        )
    if not array.ndim:
        raise ArgumentError(f"{what} has no samples: {array!r}", fits="an array whose first axis is that of the samples")
    if array.dtype.byteorder not in "=|":
        array = array.astype(array.dtype.newbyteorder("="))
    dtypes.canonical(array.dtype)
    return array


def flat(x: Any, y: Any, weight: Any) -> tuple[list[Array], Layout]:
    """The arrays of a data set or a batch in a row, and their layout. Raises :class:`ArgumentError` where they do not fit together."""
    x, y, weight = arrays_of("x", x), arrays_of("y", y), arrays_of("sample_weight", weight)
    leaves, _ = tree.flatten((x, y, weight))
    lengths = sorted({len(leaf) for leaf in leaves})
    if not tree.flatten(x)[0] or len(lengths) > 1:
        given = [f"{name}: {_shapes(part)}" for name, part in (("x", x), ("y", y), ("sample_weight", weight)) if part is not None]
        raise ArgumentError(f"there are {' and '.join(map(str, lengths)) or 'no'} samples", given=given, fits="one number for all of them")
    return leaves, Layout(x, y, weight)


def _shapes(structure: Any) -> str:
    return ", ".join([f"{leaf.dtype} of shape {leaf.shape}" for leaf in tree.flatten(structure)[0]])


def weighted_by_class(y: Any, weight: Any, class_weight: Mapping[int, float] | None) -> Any:
    """Sample weights, times those of the classes that the targets are: class numbers, or one-hot.

    Raises :class:`ArgumentError` for targets that are several, or a class without a weight that is no number of a class.
    """
    if class_weight is None:
        return weight
    targets = tree.flatten(arrays_of("y", y))[0]
    if len(targets) != 1:
        raise ArgumentError(f"class_weight for {len(targets)} targets", fits="one, or sample_weight")
    labels = targets[0]
    if labels.ndim > 1:
        labels = labels.argmax(axis=-1) if labels.shape[-1] > 1 else labels[..., 0]
    labels = labels.round().astype(np.int64)
    table = np.ones(max([int(labels.max(initial=0)), *class_weight]) + 1, np.float32)
    for number, value in class_weight.items():
        table[whole_number("class_weight: a class", number, least=0)] = value
    own = table[labels]
    return own if weight is None else own * np.asarray(weight, np.float32).reshape(len(own), *[1] * (own.ndim - 1))


def split(x: Any, y: Any, weight: Any, share: float) -> tuple[tuple[Any, Any, Any], tuple[Any, Any, Any]]:
    """The first samples, and the last ones, which are ``share`` of all. Raises :class:`ArgumentError` where one part is empty."""
    arrays, layout = flat(x, y, weight)
    at = int(np.floor(len(arrays[0]) * (1 - share)))
    if not 0 < share < 1 or at in (0, len(arrays[0])):
        raise ArgumentError(
            f"validation_split={share} of {len(arrays[0])} samples", fits="0 < validation_split < 1, and a sample on each side"
        )
    return layout.filled([array[:at] for array in arrays]), layout.filled([array[at:] for array in arrays])


class Shuffled(Batches):
    """Rows in an order that ``seed`` and the number of the epoch decide, so that it does not depend on the epochs before."""

    def __init__(self, arrays: Any, size: int, seed: int) -> None:
        super().__init__(arrays, size, shuffle=0)
        self.seed, self.epoch = seed, 0

    def order(self) -> Array:
        """The rows of this epoch in their order."""
        return np.random.default_rng([self.seed, self.epoch]).permutation(self.rows)


class Remaining(Batches):
    """What is left of a pass when its first ``done`` batches are done; at least one."""

    def __init__(self, batches: Batches, done: int) -> None:
        super().__init__(batches.arrays, batches.size)
        order = batches.order()
        self._order = (np.arange(self.rows) if order is None else order)[done * batches.size :]
        self.rows, self.held = len(self._order), batches.held

    def order(self) -> Array:
        """The rows that are left."""
        return self._order


@dataclass
class Part:
    """Batches of one layout that follow one another."""

    layout: Layout
    batches: Iterable[Any]


class _Order:
    """Of epochs that are cut short, how far they are in passes over so many batches. It follows from steps, as batches may come early."""

    def __init__(self, whole: int) -> None:
        self._whole = whole
        self._drawn, self._used = 0, whole  # at the beginning of the epoch

    def at(self, number: int, steps: int) -> tuple[int, int]:
        """See :meth:`Source.order_at`."""
        used = self._used + steps
        return (self._drawn, used) if used <= self._whole else (number, (used - 1) % self._whole + 1)

    def settle(self, number: int, steps: int) -> None:
        """An epoch is over."""
        self._drawn, self._used = self.at(number, steps)

    def go_on(self, position: Position) -> int:
        """Begin with the epoch of a position; where in a pass that began."""
        self._drawn, self._used = position.drawn, position.used - position.steps
        return self._used % self._whole


class Source:
    """Where batches come from, epoch by epoch. ``steps`` is their number in an epoch, or None if that is not known."""

    steps: int | None
    _order: _Order | None = None
    """Of epochs that are cut short and go on in the next."""

    def epoch(self, number: int, done: int = 0) -> Iterator[Part]:
        """The batches of an epoch, without the first ``done``; there is a part at least, perhaps one that is empty."""
        raise UnfinishedError(f"{type(self).__name__}.epoch(number, done)", fits="a subclass that defines it")

    def order_at(self, number: int, steps: int) -> tuple[int, int]:
        """The epoch that the order was drawn in which is in use after so many steps of an epoch, and how many batches came in it."""
        return (number, steps) if self._order is None else self._order.at(number, steps)

    def settle(self, number: int, steps: int) -> None:
        """An epoch is over, after so many steps."""
        if self._order is not None:
            self._order.settle(number, steps)

    def go_on(self, position: Position) -> None:
        """Take up the order that was in use at a position; the next epoch is the one that it is in."""


class ArraySource(Source):
    """The rows of arrays. Epochs that are cut short go on where the last one ended."""

    def __init__(self, arrays: list[Array], layout: Layout, size: int, seed: int | None, steps: int | None) -> None:
        self.batches = Batches(arrays, size) if seed is None else Shuffled(arrays, size, seed)
        self.layout = layout
        self.steps = len(self.batches) if steps is None else steps
        self._cut = steps is not None
        self._rest: Iterator[Any] = iter(())
        self._order = _Order(len(self.batches)) if self._cut else None

    def epoch(self, number: int, done: int = 0) -> Iterator[Part]:
        """The batches of an epoch."""
        if isinstance(self.batches, Shuffled):
            self.batches.epoch = number
        return iter([Part(self.layout, self._taken(done) if self._cut else self._after(done))])

    def go_on(self, position: Position) -> None:
        """See :meth:`Source.go_on`."""
        if isinstance(self.batches, Shuffled) and position.seed is not None:
            self.batches.seed = position.seed
        if self._order is not None:
            if isinstance(self.batches, Shuffled):
                self.batches.epoch = position.drawn
            self._rest = iter(self._after(position.used))
            self._order.go_on(position)

    def _after(self, done: int) -> Any:
        if not done:
            return self.batches
        return Remaining(self.batches, done) if done < len(self.batches) else ()

    def _taken(self, done: int) -> Iterator[Any]:
        for _ in range(cast("int", self.steps) - done):
            batch = next(self._rest, None)
            if batch is None:
                self._rest = iter(self.batches)
                batch = next(self._rest)
            yield batch


class IterableSource(Source):
    """Batches that somebody else makes: ``x``, ``(x, y)`` or ``(x, y, sample_weight)`` each."""

    def __init__(self, batches: Any, steps: int | None, class_weight: Mapping[int, float] | None, what: str) -> None:
        self._batches, self._class_weight, self._what = batches, class_weight, what
        self._limit = steps
        self.steps = steps if steps is not None else (len(batches) if hasattr(batches, "__len__") else None)
        self._one_pass = iter(batches) is batches if hasattr(batches, "__iter__") else False
        self._rest: Iterator[Any] | None = None
        again = steps is not None and not self._one_pass and hasattr(batches, "__len__")
        self._order = _Order(len(batches)) if again else None

    def go_on(self, position: Position) -> None:
        """See :meth:`Source.go_on`. Where a generator is, or an iterable of no known length that is cut short, is not known here."""
        if self._order is not None:
            self._rest = itertools.islice(self._fresh(), self._order.go_on(position), None)

    def epoch(self, number: int, done: int = 0) -> Iterator[Part]:
        """The batches of an epoch, those of one layout together."""
        batches = (_unpacked(batch, self._class_weight) for batch in self._taken())
        for _, layout in deque(itertools.islice(batches, done), maxlen=1):
            yield Part(layout, ())
        yield from (Part(layout, (arrays for arrays, _ in group)) for layout, group in itertools.groupby(batches, key=lambda pair: pair[1]))

    def _taken(self) -> Iterator[Any]:
        if self._limit is None:
            yield from self._fresh()
            self._finish()
            return
        for _ in range(self._limit):
            batch = next(self._rest, None) if self._rest is not None else None
            if batch is None:
                if self._rest is not None and self._one_pass:
                    warn(f"{self._what}: the data ended before {self._limit} steps of an epoch")
                    return
                self._rest = iter(self._fresh())
                batch = next(self._rest, None)
                if batch is None:
                    return
            yield batch

    def _fresh(self) -> Iterator[Any]:
        if hasattr(self._batches, "__iter__"):
            return iter(self._batches)
        return (self._batches[place] for place in range(len(self._batches)))

    def _finish(self) -> None:
        if hasattr(self._batches, "on_epoch_end"):
            self._batches.on_epoch_end()


def _unpacked(batch: Any, class_weight: Mapping[int, float] | None) -> tuple[list[Array], Layout]:
    x, y, weight = parts_of(batch)
    return flat(x, y, weighted_by_class(y, weight, class_weight))


def parts_of(batch: Any) -> tuple[Any, Any, Any]:
    """``x``, ``y`` and sample weights of what an iterable gives, or of ``validation_data``. Lists are inputs, tuples are parts."""
    if isinstance(batch, list) and 2 <= len(cast("list[Any]", batch)) <= 3:
        batch = tuple(cast("list[Any]", batch))
    if not isinstance(batch, tuple):
        return cast("Any", batch), None, None
    parts = cast("tuple[Any, ...]", batch)
    if not 1 <= len(parts) <= 3:
        raise ArgumentError(f"a batch of {len(parts)} parts", fits="(x,), (x, y) or (x, y, sample_weight)")
    x, y, weight = (*parts, None, None)[:3]
    return x, y, weight


def is_iterable_of_batches(x: Any) -> bool:
    """Whether it makes batches, and is no data itself."""
    if isinstance(x, np.ndarray | Mapping | str | Tensor) or hasattr(x, "__array__"):
        return False
    if isinstance(x, list | tuple):
        items = cast("Sequence[Any]", x)
        return bool(items) and all(isinstance(item, tuple) and 1 <= len(cast("tuple[Any, ...]", item)) <= 3 for item in items)
    return hasattr(x, "__iter__") or (hasattr(x, "__getitem__") and hasattr(x, "__len__"))


def source(
    x: Any,
    y: Any = None,
    weight: Any = None,
    *,
    batch_size: int | None = None,
    seed: int | None = None,
    steps: int | None = None,
    class_weight: Mapping[int, float] | None = None,
    what: str = "fit",
) -> Source:
    """The batches of what a user gives. ``seed`` shuffles arrays.

    Raises :class:`ArgumentError` for no data, or arguments that do not go together.
    """
    if steps is not None:
        steps = whole_number(f"{what}: the steps of an epoch", steps, least=1)
    if x is None:
        raise ArgumentError(f"{what}: there is no data", fits="x, an array, or an iterable of batches")
    if isinstance(x, Batches):
        arrays, layout = flat(*parts_of(x.arrays))
        return ArraySource(arrays, layout, x.size, seed, steps)
    if is_iterable_of_batches(x):
        if y is not None or weight is not None:
            raise ArgumentError(f"{what}: y or sample_weight beside an iterable of batches", fits="batches (x, y) or (x, y, sample_weight)")
        return IterableSource(x, steps, class_weight, what)
    arrays, layout = flat(x, y, weighted_by_class(y, weight, class_weight))
    size = BATCH_SIZE if batch_size is None else whole_number(f"{what}: batch_size", batch_size, least=1)
    return ArraySource(arrays, layout, size, seed, steps)
