"""Weights that Keras 3 wrote: ``.weights.h5`` files, and those within ``.keras`` archives. Needs the extra ``keras`` (h5py).

Such a file is a tree of groups. A group ``vars`` has a layer's own variables by their numbers, and the layer's name; beside it are groups
for the layers within, each called as the attribute that holds it. Those in a list, and the layers of a model, which are in a group
``layers``, are called by their class and how many of it came before: ``dense``, ``dense_1``.
"""

from __future__ import annotations

import io
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from graphc.core import Tensor, Variable, dtypes
from graphc.core.errors import GraphcError, warn
from graphc.nn.allowance import SLACK
from graphc.nn.datasets.unpack import member
from graphc.nn.functional import Network, Symbol
from graphc.nn.layer import Layer
from graphc.nn.naming import snake_case
from graphc.nn.weights import WeightsError

if TYPE_CHECKING:
    from graphc.nn.model import Model

Array = np.ndarray[Any, Any]
Pairs = list[tuple[Variable, Array]]

_WITHIN: Final = "model.weights.h5"
"""The weights in a ``.keras`` archive."""
_LARGEST: Final = 16
"""How many times the bytes of the weights an unpacked file may have: an optimizer's state is in it as well."""


def load_keras_weights(model: Model, filepath: str | os.PathLike[str], skip_mismatch: bool = False) -> None:
    """Give a model of the same layers the weights that Keras 3 saved by ``model.save_weights(path)`` or ``model.save(path)``.

    The layers of a model are those of the same names, if all names are the same, or else the same by class and order, which for
    functional models is Keras's own. The state of the optimiser is not read.

    Args:
        model: the model, which has its weights already.
        filepath: a ``.weights.h5`` or ``.keras`` file.
        skip_mismatch: whether layers whose weights do not fit are left as they are, with a warning.

    Raises:
        WeightsError: no such file, one of another kind, or other layers or shapes, where no weight was changed; or h5py is not there.
    """
    path = Path(filepath)
    if not model.built:
        raise WeightsError(f"{model.name} has no weights yet", fits="a model that was built: by data, an Input, or build(input_shape)")
    h5py = _h5py()
    try:
        content = path.read_bytes()
        if content[:2] == b"PK":
            content = member(io.BytesIO(content), _WITHIN, most=_LARGEST * sum([weight.storage.nbytes for weight in model.weights]) + SLACK)
        with h5py.File(io.BytesIO(content), "r") as file:
            if "layer_names" in file.attrs:
                raise WeightsError(f"{path} is of Keras 2", fits="a file that Keras 3 wrote: model.save_weights('name.weights.h5')")
            reader = _Reader(path, h5py)
            reader.read(model, file)
    except WeightsError:
        raise
    # Of a tree with other things in it than groups and arrays, h5py raises any of these.
    except (ArithmeticError, AttributeError, GraphcError, LookupError, OSError, RuntimeError, TypeError, ValueError) as error:
        given = [(str(error).splitlines() or [type(error).__name__])[0][:300]]
        raise WeightsError(f"no weights of Keras can be read from {path}", given=given, fits="a .weights.h5 or .keras file") from error
    if reader.problems and not skip_mismatch:
        fits = "a model with the layers of the one that was saved"
        raise WeightsError(f"{path}: the weights in the file are not those of {model.name}", given=reader.problems, fits=fits)
    if reader.problems:
        warn(f"{path}: weights were left as they are: {'; '.join(reader.problems)}")
    for variable, array in reader.pairs:
        variable.assign(array)


def _h5py() -> Any:
    try:
        import h5py  # pyright: ignore[reportMissingImports, reportMissingTypeStubs, reportUnknownVariableType]
    except ImportError:
        raise WeightsError("weights of Keras are in HDF5 files, and h5py is not installed", fits='pip install "graphc[keras]"') from None
    return cast("Any", h5py)


class _Reader:
    """Goes through layers and groups side by side."""

    def __init__(self, path: Path, h5py: Any) -> None:
        self.pairs: Pairs = []
        self.problems: list[str] = []
        self._path, self._seen, self._h5py = path, set[Layer](), h5py

    def read(self, layer: Layer, group: Any) -> None:
        """Pair the variables of a layer, and of those within, with the arrays of a group."""
        if layer in self._seen or not layer.weights:
            return
        self._seen.add(layer)
        self._own(layer, group)
        for name, held in _parts(layer):
            if isinstance(held, Layer):
                self._within(held, group, name)
            else:
                inside: Any = self._group(group, name) if name in group else {}
                self._several(held, inside, f"{group.name.rstrip('/')}/{name}")

    def _within(self, layer: Layer, group: Any, name: str) -> None:
        if layer in self._seen or not layer.weights:
            return
        if name in group:
            self.read(layer, self._group(group, name))
        else:
            has = ", ".join([other for other in group if other != "vars"])
            self.problems.append(f"{layer.name}: there is no {name} in {getattr(group, 'name', self._path)}, which has {has or 'nothing'}")

    def _several(self, layers: Sequence[Layer], group: Any, where: str) -> None:
        names = _numbered([snake_case(type(layer).__name__) for layer in layers])
        stored = {self._title(group, name): name for name in group}
        own = [layer.name for layer in layers if layer.weights]
        if len(stored) == len(group) and stored.keys() >= set(own):
            names = [stored.get(layer.name, "") for layer in layers]
        self._left_over(names, group, where)
        for layer, name in zip(layers, names, strict=True):
            self._within(layer, group, name)

    def _left_over(self, names: Iterable[str], group: Any, where: str) -> None:
        for name in group:
            if name not in names and self._has_values(group, name):
                self.problems.append(f"{where}/{name} ({self._title(group, name)}): in the file, and not in the model")

    def _own(self, layer: Layer, group: Any) -> None:
        records = sorted(layer._own_records(), key=lambda record: not record.trainable)  # pyright: ignore[reportPrivateUsage]
        stored: Any = self._group(group, "vars") if "vars" in group else {}
        if len(records) != len(stored):
            self.problems.append(f"{layer.name}: {len(records)} weights, and {len(stored)} in the file at {group.name}")
            return
        for place, record in enumerate(records):
            variable, array = record.variable, self._dataset(stored, str(place))
            own = dtypes.numpy_dtype(variable.dtype)
            # What a file says of an array is compared before memory is taken for it.
            if array.shape == variable.shape and np.can_cast(array.dtype, own, "same_kind"):
                self.pairs.append((variable, np.asarray(array)))
            else:
                self.problems.append(f"{variable.label}: {variable.type}, and {array.dtype}{list(array.shape)} in the file at {group.name}")

    def _dataset(self, group: Any, name: str) -> Any:
        """An array that is in this file, and not one that is in another file by a link or by its layout."""
        found: Any = group[name] if self._is_own(group, name) else None
        if not isinstance(found, self._h5py.Dataset) or found.is_virtual or found.external:
            raise WeightsError(f"{self._path}: {group.name}/{name} is no array of the file's own", fits="a file that Keras wrote")
        return found

    def _group(self, group: Any, name: str) -> Any:
        """A group that is in this file."""
        found: Any = group[name] if self._is_own(group, name) else None
        if not isinstance(found, self._h5py.Group):
            raise WeightsError(f"{self._path}: {group.name}/{name} is no group of the file's own", fits="a file that Keras wrote")
        return found

    def _is_own(self, group: Any, name: str) -> bool:
        return isinstance(group.get(name, getlink=True), self._h5py.HardLink)

    def _title(self, group: Any, name: str) -> str:
        """The name that the layer of a group had in Keras."""
        inside = self._group(group, name)
        return str(self._group(inside, "vars").attrs.get("name", "")) if "vars" in inside else ""

    def _has_values(self, group: Any, name: str) -> bool:
        """Whether there are variables at this name, but for the states of random numbers; hostile groups hold one another."""
        waiting, seen = [group[name]] if self._is_own(group, name) else [], set[int]()
        while waiting:
            item = waiting.pop()
            if hasattr(item, "shape"):
                return True
            place = self._h5py.h5o.get_info(item.id).addr
            if place not in seen:
                seen.add(place)
                waiting += [item[other] for other in item if other != "seed_generator" and self._is_own(item, other)]
        return False


def _numbered(names: Iterable[str]) -> list[str]:
    counts = Counter[str]()
    found: list[str] = []
    for name in names:
        found.append(f"{name}_{counts[name]}" if counts[name] else name)
        counts[name] += 1
    return found


def _parts(layer: Layer) -> Iterator[tuple[str, Layer | list[Layer]]]:
    """The layers within a layer by attributes, those of a model first, in the order in which Keras goes through them."""
    from graphc.nn.model import Model, Sequential

    if isinstance(layer, Sequential):
        yield "layers", layer.layers
    elif isinstance(layer, Model) and layer.network is not None:
        yield "layers", _in_keras_order(layer.network)
    for name, value in sorted(vars(layer).items(), key=lambda item: (item[0].startswith("_"), item[0])):
        if isinstance(value, Layer):
            yield name, value
        elif isinstance(value, list | tuple | dict) and name not in ("_arguments", "_weights", "_compiled", "_calls", "_stack"):
            items = cast("Mapping[Any, Any]", value).values() if isinstance(value, dict) else cast("Iterable[Any]", value)
            if layers := [item for item in items if isinstance(item, Layer)]:
                yield name, layers


def _in_keras_order(network: Network) -> list[Layer]:
    """The layers by their distance from the outputs, the farthest first, and then as a walk from the outputs meets them.

    That is the order of ``Functional.layers`` in Keras (keras/src/ops/function.py, map_graph).
    """
    met: dict[Any, None] = {}
    order: dict[Any, None] = {}
    waiting: list[tuple[Any, bool]] = [(_maker(tensor), False) for tensor in reversed(network.results)]
    while waiting:
        maker, done = waiting.pop()
        if done:
            order[maker] = None
        elif maker not in met:
            met[maker] = None
            waiting.append((maker, True))
            waiting += [(read, False) for read in reversed(_read_by(maker))]
    depths: dict[Any, int] = {}
    of_layer: dict[Layer, int] = {}
    for maker in reversed(order):
        layer = getattr(maker, "layer", None)
        depth = max(depths.get(maker, 0), of_layer.get(layer, 0) if layer is not None else 0)
        if layer is not None:
            of_layer[layer] = depth
        for read in _read_by(maker):
            depths[read] = max(depths.get(read, 0), depth + 1)
    first = list(dict.fromkeys([maker.layer for maker in met if hasattr(maker, "layer")]))
    layers = [*first, *[symbol.call.layer for symbol in network.symbols if symbol.call.layer not in of_layer]]
    return sorted(dict.fromkeys(layers), key=lambda layer: -of_layer.get(layer, 0))


def _maker(tensor: Tensor) -> Any:
    """The call of the layer that made a tensor, or the tensor itself if an operation did."""
    return tensor.call if isinstance(tensor, Symbol) else tensor


def _read_by(maker: Any) -> list[Any]:
    tensors = maker.inputs if isinstance(maker, Tensor) else maker.tensors
    return list(dict.fromkeys([_maker(tensor) for tensor in tensors]))
