"""The file: a safetensors file with the program as bytes, the variables as arrays, and the rest as its metadata.

The format has a checked header and plain memory, and no way to name a class, so that nothing runs when it is read. A digest of all that is
in it tells damage from a program that does not fit.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np

from graphc.core import dtypes
from graphc.core.files import state_of, write_whole
from graphc.export.errors import ExportError
from graphc.export.record import Leaf, Record

Array = np.ndarray[Any, Any]

FORMAT: Final = 1
"""The number of this format. It goes up with each change that an older graphc cannot read."""
KIND: Final = "graphc function"
PROGRAM: Final = "program"
MADE_BY: Final = "a file made by Function.save"
_HEAD: Final = 8
"""Bytes of the number in front of the header: its length."""


def write(path: str | os.PathLike[str], record: Record, program: bytes, values: Sequence[Array], made: Mapping[str, str]) -> Path:
    """Write a function: its record, the program, the values of its variables, and by which versions it was ``made``; return the path.

    Raises :class:`ExportError` where it cannot be written; then an earlier file stays as it was.
    """
    from safetensors.numpy import save

    arrays = {PROGRAM: np.frombuffer(program, np.uint8)}
    arrays |= {f"variable.{i}": _stored(value) for i, value in enumerate(values)}
    told = {"kind": KIND, "format": str(FORMAT), **made, "record": record.json()}
    content = save(arrays, {**told, "digest": _digest(told, {name: array.tobytes() for name, array in arrays.items()})})
    target = Path(path)
    try:
        write_whole(target, content)
    except OSError as error:
        raise ExportError(
            f"the function cannot be saved to {target}",
            given=[error.strerror or str(error), state_of(target)],
            fits=f"a folder that can be written to, with {len(content)} bytes free",
        ) from error
    return target


def read(path: str | os.PathLike[str]) -> tuple[Record, bytes, list[Array], dict[str, str]]:
    """A function as it was written: the record, the program, the values, and what the file says of itself.

    Raises :class:`ExportError` for what is no such file, for one of a newer format, and for one that is damaged.
    """
    target = Path(path)
    try:
        content = target.read_bytes()
    except OSError as error:
        raise ExportError(f"no function can be read from {target}", given=[error.strerror or str(error)], fits=MADE_BY) from error
    told, parts = _parts(target, content)
    _check_format(target, told)
    digest = told.pop("digest", "")
    if digest != _digest(told, parts):
        raise ExportError(f"{target} is damaged", given=["its contents are not those that were written"], fits="another copy of the file")
    record = Record.of_json(told.get("record", ""))
    names = [PROGRAM, *[f"variable.{i}" for i in range(len(record.variables))]]
    if sorted(names) != sorted(parts):
        raise ExportError(f"{target} does not have the parts that it should have", given=sorted(parts)[:10], fits=", ".join(names[:10]))
    values = [_value(target, leaf, parts[name]) for leaf, name in zip(record.variables, names[1:], strict=True)]
    return record, parts[PROGRAM], values, told


def _parts(target: Path, content: bytes) -> tuple[dict[str, str], dict[str, bytes]]:
    from safetensors import SafetensorError, deserialize  # pyright: ignore[reportUnknownVariableType]  # its stub has no types

    try:
        entries: list[tuple[str, dict[str, Any]]] = deserialize(content)
        header = json.loads(content[_HEAD : _HEAD + int.from_bytes(content[:_HEAD], "little")])
    except (SafetensorError, ValueError, RecursionError) as error:
        raise ExportError(f"{target} is no file of a function, or not all of it", given=[str(error)], fits=MADE_BY) from error
    return dict(header.get("__metadata__") or {}), {name: bytes(entry["data"]) for name, entry in entries}


def _check_format(target: Path, told: Mapping[str, str]) -> None:
    number = told.get("format", "")
    if told.get("kind") != KIND or not number.isdecimal():
        raise ExportError(f"{target} is a safetensors file, and holds no function", fits=MADE_BY)
    if int(number[:9]) != FORMAT:
        raise ExportError(
            f"{target} has format {number[:9]}, which this graphc does not read",
            given=[f"made by graphc {told.get('graphc', 'of unknown version')[:40]}"],
            fits=f"format {FORMAT}; or that version of graphc, or a newer one",
        )


def _digest(told: Mapping[str, str], parts: Mapping[str, bytes]) -> str:
    """Of names and contents, each with its length before it, so that nothing can pass for something else."""
    total = hashlib.sha256()
    for name, content in [*[(name, text.encode()) for name, text in sorted(told.items())], *sorted(parts.items())]:
        for piece in (name.encode(), content):
            total.update(len(piece).to_bytes(8, "little"))
            total.update(piece)
    return total.hexdigest()


def _stored(value: Array) -> Array:
    """The value in row order; complex numbers as pairs, which the format has not for all of them."""
    value = np.array(value, order="C")
    if not dtypes.is_complex(value.dtype.name):
        return value
    return value.reshape(*value.shape, 1).view(value.real.dtype)


def _value(target: Path, leaf: Leaf, content: bytes) -> Array:
    dtype, shape = dtypes.numpy_dtype(leaf.dtype), tuple([int(str(size)) for size in leaf.shape])
    if len(content) != dtype.itemsize * int(np.prod(shape, dtype=object)):
        raise ExportError(f"{target}: the value of {leaf.label} has {len(content)} bytes", fits=f"those of {leaf.type}")
    return np.frombuffer(content, dtype).reshape(shape)
