"""What runs a compiled graph, and how: ``"numpy"``, ``"jax"``, or JAX with options."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, cast, get_args

from graphc.core.errors import ArgumentError, BackendError, near

Name = Literal["numpy", "jax"]
NAMES: Final[tuple[Name, ...]] = get_args(Name)
PRECISIONS: Final = ("default", "high", "highest")


@dataclass(frozen=True, kw_only=True)
class Jax:
    """JAX with options, for ``compile(..., backend=gc.Jax(...))``; ``"jax"`` is short for ``gc.Jax()``.

    Args:
        device: one device, such as ``"cpu"``, ``"gpu:0"``, ``"tpu:3"``; JAX's default device if it is not given.
        mesh: many devices, as the sizes of named axes: ``{"data": 4, "model": 2}``; one of -1 takes the devices that are left.
        axes: which axis of the mesh the named sizes of inputs are spread over: ``{"batch": "data"}``.
        shard: how variables are laid out over the mesh: None, and each device has them whole; ``"full"``, spread over the data axis; or
            rules, ``{"hidden/*": (None, "model")}``, from patterns of names to an axis of the mesh or None for each axis. docs/scale.md.
        precision: of float32 products: ``"default"``, ``"high"`` or ``"highest"``, as in ``jax.lax.Precision``.
        check: an index out of bounds, and a NaN or inf that a node made of finite numbers, are errors that name the node. Slow.
        cache: keep what XLA compiled for later processes: True for a folder in graphc's own cache, or a folder.

    Raises :class:`ArgumentError` for options that do not go together or that have no meaning.
    """

    device: str | None = None
    mesh: Mapping[str, int] | None = None
    axes: Mapping[str, str] | None = None
    shard: str | Mapping[str, Any] | Sequence[tuple[str, Any]] | None = None
    precision: str | None = None
    check: bool = False
    cache: bool | str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        if self.device is not None and (not isinstance(self.device, str) or not self.device):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(f"Jax: device={self.device!r} is no name of a device", fits='"cpu", "gpu:0", "tpu:3"')
        if self.precision is not None and self.precision not in PRECISIONS:
            guess = near(self.precision, PRECISIONS)
            raise ArgumentError(f"Jax: there is no precision {self.precision!r}{guess}", fits=", ".join(map(repr, PRECISIONS)))
        if not isinstance(self.check, bool):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(f"Jax: check={self.check!r}", fits="True or False")
        if not isinstance(self.cache, bool | str | os.PathLike | None):  # pyright: ignore[reportUnnecessaryIsInstance]
            raise ArgumentError(f"Jax: cache={self.cache!r} is no folder", fits="True, or the path of a folder")
        _check_mesh(self)


def _check_mesh(options: Jax) -> None:
    mesh = options.mesh
    if mesh is None:
        for name in ("axes", "shard"):
            if getattr(options, name) is not None:
                raise ArgumentError(f"Jax: {name}= without mesh=", fits=f'mesh={{"data": 4}} beside it, or no {name}=')
        return
    if options.device is not None:
        raise ArgumentError("Jax: device= and mesh= at once", fits="one of them: a mesh has many devices")
    if not _is_mesh(mesh):
        fits = 'a size of at least 1 for each name, or one -1, which takes what is left: {"data": -1, "model": 2}'
        raise ArgumentError(f"Jax: mesh={mesh!r} is no mesh", fits=fits)
    for size, axis in (options.axes or {}).items():
        if axis not in mesh:
            asked = f"Jax: axes= puts {size!r} on {axis!r}, which the mesh does not have{near(axis, mesh)}"
            raise ArgumentError(asked, fits=", ".join(map(repr, mesh)))


def _is_mesh(mesh: Any) -> bool:
    if not isinstance(mesh, Mapping) or not mesh:
        return False
    sizes = cast("Mapping[Any, Any]", mesh)
    whole = all(isinstance(name, str) and type(size) is int and (size > 0 or size == -1) for name, size in sizes.items())
    return whole and list(sizes.values()).count(-1) <= 1


Backend = Name | Jax
"""What ``compile`` takes as its ``backend``."""


def options_of(backend: Any) -> Jax | None:
    """The options of JAX, or None for NumPy. Raises :class:`BackendError` for a backend that is not there."""
    if isinstance(backend, Jax):
        return backend
    if backend not in NAMES:
        raise BackendError(f"there is no backend {backend!r}{near(backend, NAMES)}", fits=", ".join([*map(repr, NAMES), "gc.Jax(...)"]))
    return Jax() if backend == "jax" else None
