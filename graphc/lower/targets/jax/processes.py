"""Several processes that run one program, joined by ``jax.distributed``."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from graphc.core import Variable, describe
from graphc.core.errors import ArgumentError, BackendError
from graphc.lower.targets.jax.devices import import_jax


def distributed(
    coordinator: str | None = None, processes: int | None = None, index: int | None = None, *, timeout: int = 300
) -> tuple[int, int]:
    """Join the processes of one computation, before anything else runs on JAX. Each process calls it once.

    Returns which of them this one is, from 0, and of how many: ``index, processes = gc.distributed()``.

    Args:
        coordinator: ``"host:port"`` of process 0, at which it listens and which the others reach.
        processes: how many there are.
        index: which of them this one is, from 0.
        timeout: seconds to wait for the others.

    Without arguments JAX finds them out where it can: on Cloud TPU pods, under Slurm and Open MPI, and on Kubernetes with the package
    ``kubernetes``. Afterwards a mesh may have the devices of all processes: each runs the same program, with its part of every batch.
    Processes on CPUs talk by gloo, on GPUs by NCCL. Raises :class:`ArgumentError` for an address or a number that makes no sense,
    :class:`BackendError` if JAX was used before, or the others do not come.
    """
    given = (coordinator, processes, index)
    if any(value is not None for value in given):
        _check(*given)
    jax = import_jax()
    if jax.distributed.is_initialized():
        raise BackendError("distributed: this process has joined the others already", fits="one call, at the start of the program")
    try:
        jax.distributed.initialize(coordinator, processes, index, initialization_timeout=timeout)
    except ValueError as error:  # JAX knows no cluster here
        raise BackendError(
            f"distributed(): JAX does not find out which processes there are: {error}",
            fits='distributed(coordinator="host:port", processes=2, index=0); on TPU pods, under Slurm and Open MPI it needs no arguments',
        ) from error
    except RuntimeError as error:
        raise BackendError(
            f"distributed: {error}", fits="a call before all that runs on JAX, and processes that reach the coordinator"
        ) from error
    return jax.process_index(), jax.process_count()


def _check(coordinator: str | None, processes: int | None, index: int | None) -> None:
    if coordinator is None or processes is None or index is None:
        raise ArgumentError(
            f"distributed: coordinator={coordinator!r}, processes={processes!r}, index={index!r}", fits="all three, or none of them"
        )
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal():
        raise ArgumentError(f"distributed: coordinator={coordinator!r} is no address", fits='"host:port", such as "10.0.0.1:8476"')
    if not 0 <= index < processes:
        raise ArgumentError(f"distributed: index={index} of {processes} processes", fits="0 <= index < processes")


class Spread:
    """The value of a variable of which other processes hold a part. NumPy reads it as a whole array.

    Reading it gathers the parts, so that all processes have to read it, and in the same order.
    """

    def __init__(self, array: Any) -> None:
        self.array = array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray[Any, Any]:
        """The whole value."""
        return np.asarray(whole(self.array), dtype=dtype)


def whole(value: Any) -> np.ndarray[Any, Any]:
    """The whole value in this process's memory; where others hold a part of it all processes have to ask."""
    if getattr(value, "is_fully_addressable", True) or value.is_fully_replicated:
        return np.asarray(value)
    jax = import_jax()
    everywhere = jax.sharding.NamedSharding(value.sharding.mesh, jax.sharding.PartitionSpec())
    with jax.enable_x64(True):
        return np.asarray(jax.jit(_same, out_shardings=everywhere)(value))


def _same(value: Any) -> Any:
    return value


def parts(mesh: Any) -> dict[str, int]:
    """For each axis of the mesh into how many parts processes cut it.

    Raises :class:`BackendError` where processes do not cut it evenly, or where this process has no device on the mesh.
    """
    owners = np.array([device.process_index for device in mesh.devices.flat]).reshape(mesh.devices.shape)
    return {name: _parts(name, np.moveaxis(owners, axis, 0)) for axis, name in enumerate(mesh.axis_names)}


def _parts(name: str, owners: np.ndarray[Any, Any]) -> int:
    rows = owners.reshape(len(owners), -1)
    held = {process: frozenset(np.flatnonzero((rows == process).any(1)).tolist()) for process in range(import_jax().process_count())}
    cuts = set(held.values())
    if len({len(cut) for cut in cuts}) > 1 or sum(map(len, cuts)) != len(rows):
        given = [f"process {process} has {sorted(cut)} of {len(rows)}" for process, cut in held.items()]
        raise BackendError(f"mesh: processes do not cut the axis {name!r} evenly", given=given, fits="a mesh of all devices")
    return len(cuts)


def everyones(numbers: Sequence[int]) -> np.ndarray[Any, Any]:
    """These numbers, below 2**32, as each process has them: a row for each. All processes have to ask."""
    from jax.experimental import multihost_utils

    found = multihost_utils.process_allgather(np.array(numbers, "uint32"))
    return np.reshape(np.asarray(found), (import_jax().process_count(), len(numbers)))


def agree(variables: Sequence[Variable]) -> None:
    """Compare the values that variables have in memory with those of the other processes. Raises :class:`BackendError`."""
    sums = everyones([_checksum(variable) for variable in variables])
    differ = [variable for variable, column in zip(variables, sums.T, strict=True) if len(set(column.tolist())) > 1]
    if differ:
        raise BackendError(
            "the processes begin with different values of variables",
            given=[describe(variable) for variable in differ],
            fits="the same first values in all processes: initialisers with the same seed",
        )


def _checksum(variable: Variable) -> int:
    value: Any = variable.storage
    if not isinstance(value, np.ndarray):
        return 0  # a call made it, or read it
    return zlib.crc32(value.tobytes()) or 1
