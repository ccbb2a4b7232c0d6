"""Models in files: structure, weights, the optimiser's state, and where the training is, in one file that is there whole or not at all.

The file is a safetensors file, so that anything that reads those finds the weights; its metadata has the rest as JSON, with the version of
the format, and a digest of it all. Nothing in a file is ever run: see graphc.nn.configured. What a training needs to go on with the same
bits is in it: slots, the count of steps, the states of random numbers, the order of the samples, the sums of an epoch that is not over,
and the states of callbacks (:meth:`graphc.nn.Callback.get_state`).
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

import numpy as np

import graphc
from graphc.core import Variable
from graphc.core.errors import ArgumentError, GraphcError, warn
from graphc.nn.allowance import allowance
from graphc.nn.configured import Objects, packed, unpacked, written_name
from graphc.nn.position import Position
from graphc.nn.weights import WeightsError, read, write

if TYPE_CHECKING:
    from graphc.nn.model import Model

Array: TypeAlias = np.ndarray[Any, Any]
Arrays: TypeAlias = dict[str, Array]
Place: TypeAlias = str | os.PathLike[str]
Described: TypeAlias = dict[str, Any]

VERSION: Final = 1
"""Of the format. One that is newer is not read."""
_TITLE, _DIGEST = "graphc", "digest"
_MADE_BY = "a file made by model.save(path) or model.save_weights(path)"


class SavingWarning(UserWarning):
    """Something that a file does not hold, or that was not taken from it."""


# ---------------------------------------------------------------- whole models
def save_model(model: Model, filepath: Place, overwrite: bool = True, include_optimizer: bool = True) -> Path:
    """Write a model to a file: structure, weights, what ``compile`` was told and the state of the training. See :meth:`Model.save`."""
    return _save(model, filepath, overwrite, structure(model, include_optimizer), training=include_optimizer)


def structure(model: Model, include_optimizer: bool = True) -> Described:
    """What a file says of a model beside numbers. Raises :class:`ArgumentError` for a part that has no form in a file."""
    described: Described = {"model": packed(model)}
    if model.compiled and include_optimizer:
        described["compile"] = model.training.get_config()
    return described


def load_model(filepath: Place, custom_objects: Objects | None = None, compile: bool = True) -> Any:
    """The model that :meth:`graphc.nn.Model.save` wrote.

    Args:
        filepath: the file.
        custom_objects: classes and functions by name that the model is made of and that this program has not declared or registered.
        compile: whether the model is to be compiled as it was, if it was; then ``fit`` with the ``initial_epoch`` that the file was written
            in goes on as if it had not stopped.

    Raises:
        WeightsError: no such file, one that is damaged or of another kind, or of a version that is not known.
        ArgumentError: a class or a function that is not known.
    """
    importlib.import_module("graphc.nn.model")  # its classes are known from then on
    path = Path(filepath)
    arrays, described = _load(path)
    if "model" not in described:
        fits = "model.load_weights(path) of a model that is made first, or a file made by model.save(path)"
        raise WeightsError(f"{path} has weights and no model", fits=fits)
    with _making(path), allowance(sum([array.nbytes for array in arrays.values()])):
        model = unpacked(described["model"], custom_objects)
        if not isinstance(model, importlib.import_module("graphc.nn.model").Model):
            raise ArgumentError(f"{path} has a {type(model).__name__} in the place of a model", fits=_MADE_BY)
        if compile and "compile" in described:
            model.compile(**unpacked(described["compile"], custom_objects))
        _restore(model, path, arrays, described)
    return model


@contextmanager
def _making(path: Path) -> Generator[None]:
    """What is made from a file gets arguments that nobody has looked at, and may raise whatever it raises for such."""
    try:
        yield
    except GraphcError:
        raise
    except (ArithmeticError, AssertionError, AttributeError, LookupError, MemoryError, RuntimeError, TypeError, ValueError) as error:
        told = (str(error).splitlines() or [""])[0][:300]
        given = [f"{type(error).__name__}: {told}"]
        raise WeightsError(
            f"the description in {path} makes no sense, or is of classes that take other arguments", given=given, fits=_MADE_BY
        ) from error


# ---------------------------------------------------------------- weights alone
def save_weights(model: Model, filepath: Place, overwrite: bool = True) -> Path:
    """Write the weights, and the state of the training if there is one, but no structure. See :meth:`Model.save_weights`."""
    return _save(model, filepath, overwrite, {}, training=True)


def load_weights(model: Model, filepath: Place, skip_mismatch: bool = False) -> Position | None:
    """Give a model what a file holds, and return where the training was, if that is in the file. See :meth:`Model.load_weights`."""
    path = Path(filepath)
    if _begins_with(path, b"\x89HDF", b"PK"):
        from graphc.nn import keras_weights

        keras_weights.load_keras_weights(model, path, skip_mismatch)
        return None
    arrays, described = _load(path)
    with _making(path), allowance(sum([array.nbytes for array in arrays.values()])):
        return _restore(model, path, arrays, described, skip_mismatch)


# ---------------------------------------------------------------- files
def _save(model: Model, filepath: Place, overwrite: bool, described: Described, *, training: bool) -> Path:
    path = Path(filepath)
    if not overwrite and path.exists():
        raise WeightsError(f"{path} is there already, and overwrite is False", fits="another name, or overwrite=True")
    if not model.built:
        raise WeightsError(f"{model.name} has no weights yet", fits="a model that was built: by data, an Input, or build(input_shape)")
    described = {"version": VERSION, "graphc": graphc.__version__, "build": model.build_shape, **described}
    arrays = _numbered("weights", model.weights) | _numbered("seeds", [seeds.state for seeds in model.seed_generators])
    if training:
        _describe_training(model, arrays, described)
    text = json.dumps(described)
    try:
        digest = _digest(text, arrays)
    except UnicodeEncodeError as error:
        raise WeightsError(
            f"{model.name!a}: a weight has a name that is no Unicode", given=[ascii(error.object)], fits="a layer with another name"
        ) from error
    return write(path, arrays, {_TITLE: text, _DIGEST: digest}, "the model" if "model" in described else "the weights")


def _load(path: Path) -> tuple[Arrays, Described]:
    if _begins_with(path, b"\x89HDF", b"PK"):
        fits = "model.load_weights(path), which reads the weights of Keras, for a model that is made first"
        raise WeightsError(f"{path} is a file of Keras", fits=fits)
    arrays, metadata = read(path)
    if _TITLE not in metadata:
        raise WeightsError(f"{path} is a safetensors file of something else", given=sorted(arrays)[:8], fits=_MADE_BY)
    text = metadata[_TITLE]
    if metadata.get(_DIGEST) != _digest(text, arrays):
        raise WeightsError(f"{path} is damaged: its content is not what was written", fits="a copy that is whole")
    with _making(path):
        described: Described = json.loads(text)
        newer = described["version"] > VERSION
    if newer:
        given = [f"the file: version {described['version']}, written by graphc {described.get('graphc')}"]
        fits = f"version {VERSION} at most; or a newer graphc than {graphc.__version__}"
        raise WeightsError(f"{path} has a form that this graphc does not know", given=given, fits=fits)
    return arrays, described


def _begins_with(path: Path, *marks: bytes) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(4).startswith(marks)
    except OSError:
        return False  # the one who reads the whole file says what is wrong


def _digest(text: str, arrays: Mapping[str, Array]) -> str:
    found = hashlib.blake2b(text.encode(), digest_size=16)
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        found.update(f"{name} {array.dtype} {arrays[name].shape}".encode())
        found.update(array.reshape(-1).view(np.uint8).data)
    return found.hexdigest()


def _numbered(what: str, variables: Iterable[Variable]) -> Arrays:
    return {f"{what}/{place}/{variable.label}": variable.value for place, variable in enumerate(variables)}


def _stored(what: str, arrays: Mapping[str, Array]) -> list[tuple[str, Array]]:
    """The arrays of a section with their labels, in the order of the variables."""
    found = {tuple(name.split("/", 2)[1:]): array for name, array in arrays.items() if name.startswith(f"{what}/")}
    return [(label, found[place, label]) for place, label in sorted(found, key=lambda key: int(key[0]))]


# ---------------------------------------------------------------- the state of a training
def _describe_training(model: Model, arrays: Arrays, described: Described) -> None:
    optimizer = model.optimizer if model.compiled else None
    if optimizer is not None and optimizer.weights:
        places = {weight: place for place, weight in enumerate(model.weights)}
        if strange := [str(weight.label) for weight in optimizer.weights if weight not in places]:
            told = f"the state of the optimizer is not saved: it has made steps for {strange[0]}, which is no weight of {model.name}"
            warn(told, SavingWarning)
            return
        described["optimizer"] = {
            "class_name": written_name(optimizer.__class__),
            "weights": [places[weight] for weight in optimizer.weights],
        }
        arrays |= _numbered("optimizer", optimizer.variables)
    position = model.position
    if position is not None:
        described["position"] = _written_position(position, arrays)


def _written_position(position: Position, arrays: Arrays) -> Described:
    arrays |= {f"totals/{name}": value for name, value in position.totals.items()}
    callbacks: list[Any] = []
    for number, (name, state) in enumerate(position.callbacks):
        plain = {key: value for key, value in state.items() if not isinstance(value, list)}
        listed = {key: cast("list[Array]", value) for key, value in state.items() if isinstance(value, list)}
        arrays |= {f"callback/{number}/{key}/{place}": array for key, values in listed.items() for place, array in enumerate(values)}
        callbacks.append([name, packed(plain), {key: len(values) for key, values in listed.items()}])
    own = {name: getattr(position, name) for name in ("epoch", "steps", "seed", "drawn", "used")}
    return {**own, "callbacks": callbacks}


def _read_position(written: Mapping[str, Any], arrays: Arrays) -> Position:
    totals = {name.partition("/")[2]: array for name, array in arrays.items() if name.startswith("totals/")}
    callbacks: list[tuple[str, Mapping[str, Any]]] = []
    for number, (name, plain, listed) in enumerate(written["callbacks"]):
        lists = {key: [arrays[f"callback/{number}/{key}/{place}"] for place in range(count)] for key, count in listed.items()}
        callbacks.append((name, plain | lists))
    fields: dict[str, Any] = {**written, "totals": totals, "callbacks": tuple(callbacks)}
    return Position(**fields)


# ---------------------------------------------------------------- giving it back
def _restore(model: Model, path: Path, arrays: Arrays, described: Described, skip_mismatch: bool = False) -> Position | None:
    """All of it, or in case of an error nothing."""
    if not model.built and described["build"] is not None:
        model.build(described["build"])
    if not model.built:
        raise WeightsError(f"{model.name} has no weights yet", fits="a model that was built: by data, an Input, or build(input_shape)")
    pairs = _paired(path, "weights", model.weights, _stored("weights", arrays), skip_mismatch)
    pairs += _paired(path, "seeds", [seeds.state for seeds in model.seed_generators], _stored("seeds", arrays), skip_mismatch)
    state = _of_optimizer(model, path, arrays, described)
    for variable, array in [*pairs, *(state or [])]:
        variable.assign(array)
    if state is None or "position" not in described:
        return None
    position = _read_position(described["position"], arrays)
    model.go_on(position)
    return position


def _of_optimizer(model: Model, path: Path, arrays: Arrays, described: Described) -> list[tuple[Variable, Array]] | None:
    """The optimiser's variables and their values; None if the training is not to go on from the file."""
    if not model.compiled:
        return None
    written: Any = described.get("optimizer")
    optimizer: Any = model.optimizer
    if written is None or optimizer is None:
        return [] if written is None and "position" in described else None
    if written["class_name"] != written_name(optimizer.__class__):
        told = f"{path} has the state of {written['class_name']}, which {optimizer.__class__.__name__} cannot take; it begins anew"
        warn(told, SavingWarning)
        return None
    weights = model.weights
    stored = _stored("optimizer", arrays)
    if max(written["weights"]) >= len(weights):
        return None  # the weights themselves do not fit, and were skipped
    optimizer.build([weights[place] for place in written["weights"]])
    return _paired(path, "state of the optimizer", optimizer.variables, stored, skip_mismatch=False)


def _paired(
    path: Path, what: str, variables: Sequence[Variable], stored: Sequence[tuple[str, Array]], skip_mismatch: bool
) -> list[tuple[Variable, Array]]:
    """Each variable with its value: by name if they have the same names, else in their order."""
    if len(variables) != len(stored) and not skip_mismatch:
        given = [f"the file: {len(stored)}: {_few([label for label, _ in stored])}"]
        given += [f"the model: {len(variables)}: {_few([str(variable.label) for variable in variables])}"]
        raise WeightsError(f"{path}: the {what} in the file are not those of the model", given=given, fits="a model with the same layers")
    by_name = dict(stored)
    labels = [str(variable.label) for variable in variables]
    if len(by_name) == len(stored) == len(set(labels)) and by_name.keys() == set(labels):
        stored = [(label, by_name[label]) for label in labels]
    pairs: list[tuple[Variable, Array]] = []
    problems: list[str] = []
    for variable, (label, array) in zip(variables, stored, strict=False):
        wanted = variable.storage
        role = str(variable.label).rpartition("/")[2]
        if (array.shape, array.dtype, label.rpartition("/")[2]) == (wanted.shape, wanted.dtype, role):
            pairs.append((variable, array))
        else:
            problems.append(f"{label}: {array.dtype}{list(array.shape)} in the file, {variable.type} in the model ({variable.label})")
    if problems and not skip_mismatch:
        raise WeightsError(f"{path}: the {what} in the file do not fit the model", given=problems, fits="a model with the same layers")
    if left := max(len(variables), len(stored)) - len(pairs):
        warn(f"{path}: {left} of the {what} do not fit and were left as they are", SavingWarning)
    return pairs


def _few(labels: Sequence[str]) -> str:
    return ", ".join(labels[:6]) + (" ..." if len(labels) > 6 else "")
