"""What a machine takes for the work that emitted NumPy source does: a few constants, measured once on request.

The constants of :class:`Machine` are those of one core of a server of 2023. They are good enough to choose by, and whoever wants
better ones calls :func:`calibrate`, which measures for some seconds and keeps what it found in the user's cache folder. Nothing is
measured unasked. Which constants are in use changes how values are computed, never what they are but for rounding.
"""

from __future__ import annotations

import functools
import math
import os
import platform
import zlib
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final, NamedTuple, cast

from graphc.core.errors import ArgumentError, warn
from graphc.core.folder import cache_folder

VERSION: Final = 1
"""Of the file's format. A file of another version is not read."""
VARIABLE: Final = "GRAPHC_MACHINE"
"""The environment variable that names another file than the one in the cache folder."""


class Machine(NamedTuple):
    """The constants, for one core: microseconds a call, nanoseconds a float32 element and a float64 element, rates a microsecond.

    ============= ===================================================================================================
    call          of a ufunc that has nothing to do, with its result's place given
    function      of one of NumPy's functions written in Python, and of reductions
    routine       of one of LAPACK's or of a Fourier transform
    loop          to begin NumPy's innermost loop again, for each row of what does not lie in memory in one piece
    near, far     bytes a microsecond, read and written together, from the second-level cache and from beyond it
    cache         bytes that a call may touch and still be served by ``near``
    root          nanoseconds an element for divisions and roots
    exponential   for exponentials, logarithms, hyperbolic and inverse functions
    circular      for sine and cosine
    choice        for ``where``, ``clip`` and truth values of numbers
    remainder     for what NumPy does one by one: remainders, hypotenuses
    special       nanoseconds a declared operation of SciPy's special functions
    narrow_types  nanoseconds an element more for float16 and bfloat16, which are computed in float32
    gather        nanoseconds an item that is looked up; ``scatter`` one that is added where an index says
    product       float32 operations a microsecond in large products of matrices
    thin          the smallest of a product's three sizes at which it reaches half of that
    item          for each product of a stack
    routines      float32 operations a microsecond in factorisations and transforms
    hand_over     to give work to another thread and to wait for it
    ============= ===================================================================================================
    """

    call: float = 0.4
    function: float = 1.4
    routine: float = 8.0
    loop: float = 0.005
    near: float = 65e3
    far: float = 25e3
    cache: float = float(1 << 21)
    root: tuple[float, float] = (0.2, 0.6)
    exponential: tuple[float, float] = (0.35, 1.0)
    circular: tuple[float, float] = (0.5, 9.0)
    choice: tuple[float, float] = (0.8, 1.0)
    remainder: tuple[float, float] = (6.0, 9.0)
    special: float = 0.7
    narrow_types: float = 4.0
    gather: float = 0.7
    scatter: float = 3.0
    product: float = 148e3
    thin: float = 10.0
    item: float = 0.04
    routines: float = 5e3
    hand_over: float = 12.0


REFERENCE: Final = Machine()
"""The constants that hold without a calibration. What decides in which order numbers are added up goes by these on every machine."""


class MachineWarning(UserWarning):
    """A calibration that was there and could not be used."""


_known: Final[list[Machine]] = []


def machine() -> Machine:
    """The constants of this machine: those of the last calibration, or else the ``REFERENCE``. They are read once a process."""
    if not _known:
        path = place()
        _known.append(REFERENCE if path is None else load(path))
    return _known[0]


def place(environ: Mapping[str, str] = os.environ) -> str | None:
    """The file of this machine's constants: ``$GRAPHC_MACHINE``, else one in the cache folder for this processor and NumPy.

    None where there is no home folder. The file need not exist.
    """
    given = environ.get(VARIABLE)
    if given:
        return given
    try:
        return os.path.join(cache_folder(environ), f"machine-{zlib.crc32(repr(key()).encode()):08x}.json")
    except ArgumentError:
        return None


def key() -> dict[str, str]:
    """What the constants depend on."""
    import numpy as np

    return {"processor": _processor(), "numpy": np.__version__}


@functools.cache
def _processor() -> str:
    with suppress(OSError), open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name.strip() == "model name":
                return value.strip()
    return platform.processor() or platform.machine()


def load(path: str | os.PathLike[str]) -> Machine:
    """The constants in this file, or the ``REFERENCE`` if there is none, and, with a :class:`MachineWarning`, if it makes no sense."""
    try:
        with open(path, encoding="utf-8") as file:
            text = file.read()
    except FileNotFoundError:
        return REFERENCE
    except (OSError, UnicodeDecodeError) as error:
        return _ignored(path, str(error))
    import json

    try:
        return _read(json.loads(text))
    except (ValueError, OverflowError, RecursionError) as error:  # a whole number may be larger than any float
        return _ignored(path, str(error))


def _ignored(path: str | os.PathLike[str], reason: str) -> Machine:
    warn(f"the calibration in {path} is not used: {reason}; `graphc calibrate` makes a new one", MachineWarning)
    return REFERENCE


def _read(content: Any) -> Machine:
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")
    found = cast("dict[str, Any]", content)
    if found.get("version") != VERSION:
        raise ValueError(f"it has the version {found.get('version')!r} and not {VERSION}")
    if found.get("key") != key():
        raise ValueError("it is another processor's or another NumPy's")
    constants = found.get("constants")
    names = set(Machine._fields)
    if not isinstance(constants, dict) or set(cast("dict[str, Any]", constants)) != names:
        raise ValueError("it has other constants than those that are used")
    return Machine(**{name: _constant(name, value) for name, value in cast("dict[str, Any]", constants).items()})


def _constant(name: str, value: Any) -> Any:
    if isinstance(getattr(REFERENCE, name), tuple):
        pair = cast("list[Any]", value) if isinstance(value, list) else []
        if len(pair) != 2:
            raise ValueError(f"{name} is no pair")
        return tuple([_positive(name, number) for number in pair])
    return _positive(name, value)


def _positive(name: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value > 0):
        raise ValueError(f"{name} is {value!r}, which is no positive number")
    return float(value)


def save(constants: Machine, path: str | os.PathLike[str]) -> None:
    """Write the constants, whole or not at all. Raises :class:`OSError` where that cannot be."""
    import json
    import tempfile

    folder, base = os.path.split(os.path.abspath(path))
    os.makedirs(folder, exist_ok=True)
    text = json.dumps({"version": VERSION, "key": key(), "constants": constants._asdict()}, indent=2)
    handle, name = tempfile.mkstemp(prefix=base, dir=folder)
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text + "\n")
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def calibrate(path: str | os.PathLike[str] | None = None) -> Machine:
    """Measure this machine's constants, which takes some seconds, keep them in ``path``, and use them from now on.

    ``path`` is the file in the user's cache folder unless it, or ``$GRAPHC_MACHINE``, is given; another process finds a file elsewhere by
    that variable. What is compiled already stays as it is. Raises :class:`ArgumentError` where the file cannot be written.
    """
    from graphc.lower.calibration import measure

    where = place() if path is None else os.fspath(path)
    if where is None:
        raise ArgumentError("calibrate: no home folder is known", fits=f"a path, or ${VARIABLE}")
    found = measure()
    try:
        save(found, where)
    except OSError as error:
        raise ArgumentError(f"calibrate: {where} cannot be written", given=[str(error)], fits=f"a path, or ${VARIABLE}") from error
    _known[:] = [found]
    return found
