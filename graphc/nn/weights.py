"""Weights in safetensors files: a file is there whole or not at all, and only what fits is loaded."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from graphc.core import Variable, describe, dtypes
from graphc.core.errors import GraphcError
from graphc.core.files import state_of, write_whole

Array = np.ndarray[Any, Any]
Entries = list[tuple[str, dict[str, Any]]]

_FLOATS = {"BF16": "bfloat16", "F16": "float16", "F32": "float32", "F64": "float64"}
_WHOLE = {f"{letter}{bits}": f"{kind}{bits}" for letter, kind in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)}
_DTYPES = {"BOOL": "bool", **_WHOLE, **_FLOATS}
"""The format's names for the dtypes, in ours."""


class WeightsError(GraphcError):
    """Weights that cannot be saved, or a file that does not hold the weights asked for."""


def save_weights(path: str | os.PathLike[str], variables: Iterable[Variable]) -> Path:
    """Write the values of the variables, under their names, to a safetensors file; return its path.

    The file is written under another name, forced to the disk and renamed: whatever happens on the way, an earlier file stays whole.
    Raises :class:`WeightsError` for variables without a name of their own, and where the file cannot be written.
    """
    return write(Path(path), {name: variable.value for name, variable in _named(variables).items()})


def load_weights(path: str | os.PathLike[str], variables: Iterable[Variable]) -> None:
    """Give the variables the values that the file holds under their names: all of them, or in case of an error none.

    Raises :class:`WeightsError` unless the file has these names and no others, with the shapes and dtypes of the variables.
    """
    named = _named(variables)
    arrays, _ = read(Path(path))
    _check(Path(path), arrays, named)
    for name, variable in named.items():
        variable.assign(arrays[name])


def write(target: Path, arrays: Mapping[str, Array], metadata: Mapping[str, str] | None = None, what: str = "the weights") -> Path:
    """Write arrays by name, and texts by name, to a safetensors file, as :func:`save_weights` does; return its path."""
    from safetensors.numpy import save

    # A view from a transpose is stored column by column, which the format does not have.
    plain = {name: np.array(array, order="C") for name, array in arrays.items()}
    content = save(plain) if metadata is None else _in_order(save(plain, dict(metadata)))
    try:
        write_whole(target, content)
    except OSError as error:
        raise WeightsError(
            f"{what} cannot be saved to {target}",
            given=[error.strerror or str(error), state_of(target)],
            fits=f"a folder that can be written to, with {len(content)} bytes free",
        ) from error
    return target


def _in_order(content: bytes) -> bytes:
    """The file with its texts sorted by name: the library writes them in an order that differs from process to process."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # arrays begin at a multiple of eight
    return len(text).to_bytes(8, "little") + text + content[start:]


def _named(variables: Iterable[Variable]) -> dict[str, Variable]:
    named: dict[str, Variable] = {}
    for variable in variables:
        name = variable.label
        if not name or name in named:
            problem = f"two variables are named {name!r}" if name else "a variable has no name"
            raise WeightsError(f"weights: {problem}", given=[describe(variable)], fits='gc.variable(value, name="...") for each')
        named[name] = variable
    return named


def read(path: Path) -> tuple[dict[str, Array], dict[str, str]]:
    """The arrays and the texts of a safetensors file. Raises :class:`WeightsError` where it is none, is damaged or cannot be read."""
    from safetensors import SafetensorError, deserialize  # pyright: ignore[reportUnknownVariableType]  # its stub has no types

    try:
        content = path.read_bytes()
        entries: Entries = deserialize(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        return {name: _array(name, entry) for name, entry in entries}, header.get("__metadata__") or {}
    except OSError as error:
        given = [error.strerror or str(error)]
        raise WeightsError(f"no weights can be read from {path}", given=given, fits="a file made by save_weights") from error
    except (SafetensorError, ValueError, RecursionError) as error:  # the latter of header and shapes that the library lets through
        raise WeightsError(f"{path} is no whole safetensors file", given=[str(error)], fits="a file made by save_weights") from error


def _array(name: str, entry: Mapping[str, Any]) -> Array:
    # Not safetensors.numpy.load: that writes bfloat16, and does not read it.
    dtype = _DTYPES.get(entry["dtype"])
    if dtype is None:
        raise WeightsError(f"weights: {name} is of type {entry['dtype']}", fits=", ".join(_DTYPES))
    return np.frombuffer(entry["data"], dtypes.numpy_dtype(dtype)).reshape(entry["shape"])


def _check(path: Path, arrays: Mapping[str, Array], named: Mapping[str, Variable]) -> None:
    problems = [f"{name}: not in the file" for name in named if name not in arrays]
    problems += [f"{name}: in the file, and not among the variables" for name in arrays if name not in named]
    for name in named.keys() & arrays.keys():
        array, wanted = arrays[name], named[name].value
        if (array.shape, array.dtype) != (wanted.shape, wanted.dtype):
            problems.append(f"{name}: {array.dtype}{list(array.shape)} in the file, {wanted.dtype}{list(wanted.shape)} the variable")
    if problems:
        raise WeightsError(f"the weights in {path} are not those of these variables", given=sorted(problems), fits=", ".join(named))
