"""Where values live: on JAX's default device, on one that was asked for, or spread over a mesh, also one of several processes.

What the compiled code does with inputs, variables and outputs that lie on several devices is left to XLA, which puts in the
communication (Y. Xu et al., GSPMD, 2021).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from graphc.backends import Jax
from graphc.core import Tensor, Variable, describe, sizes
from graphc.core.errors import ArgumentError, BackendError, PlacementWarning, ShapeError, warn
from graphc.lower.schedule import Schedule
from graphc.lower.targets.jax import devices, layout
from graphc.lower.targets.jax.layout import Layout
from graphc.lower.targets.jax.processes import Spread, agree, everyones, parts, whole


def place(options: Jax, schedule: Schedule) -> Placement:
    """The placement that the options ask for. Raises :class:`BackendError` for devices that JAX does not see."""
    if options.mesh is None:
        return Placement(schedule) if options.device is None else OneDevice(schedule, devices.device(options.device))
    mesh = devices.mesh(options.mesh)
    return (ManyProcesses if mesh.is_multi_process else OnMesh)(options, schedule, mesh)


class Placement:
    """JAX's default device. Variables that lie elsewhere stay there, and the call runs where they are."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self._jax = devices.import_jax()
        self._ready: type | None = None  # the class of arrays that need no further look

    def sizes(self, values: Sequence[Any], known: tuple[int, ...], names: Sequence[str]) -> tuple[int, ...]:
        """The numbers for the named sizes in the whole computation, of which ``known`` are those of this process's values."""
        return known

    def input(self, number: int, value: Any) -> Any:
        """The value of an input, by its number, where the function reads it."""
        return value

    def state(self) -> list[Any]:
        """The arrays of all variables on the device."""
        ready = self._ready
        return [
            value if (value := variable.storage).__class__ is ready else self.variable(variable) for variable in self.schedule.variables
        ]

    def variable(self, variable: Variable) -> Any:
        """The variable's array on the device, copied there if it is not there yet."""
        value = variable.storage
        if isinstance(value, self._jax.Array) and value.is_fully_addressable:
            if self.__class__ is Placement and self._jax.process_count() == 1:
                self._ready = value.__class__  # JAX's own questions take a microsecond for each variable
            return value
        # A copy that is nobody else's goes to the device as it is; ``jnp.array`` would compile a copy for each shape.
        in_memory = isinstance(variable.storage, np.ndarray)
        placed = self._jax.device_put(np.array(value)) if in_memory else self._jax.numpy.array(_local(value))
        return _kept(variable, placed)

    def store(self, variable: Variable, value: Any) -> None:
        """Make this array, which a call returned, the value of the variable."""
        variable.storage = value

    def outputs(self, values: Sequence[Any]) -> Sequence[Any]:
        """What the user gets for the outputs of a call."""
        return values

    def batch(self, values: Sequence[Any], known: Mapping[str, int]) -> Sequence[Any]:
        """Inside of ``jax.jit``: values for the inputs, cut out of larger ones, laid out as the inputs are."""
        return values

    def data(self, value: Any) -> Any:
        """A data set from which steps on the device cut their batches."""
        return value

    def jit_arguments(self, known: Mapping[str, int], *, scanned: bool = False) -> dict[str, Any]:
        """What ``jax.jit`` is told of layouts for these sizes; with ``scanned``, of the function that does many steps."""
        return {}

    def __str__(self) -> str:
        return "JAX's default device"


class OneDevice(Placement):
    """One device that was asked for."""

    def __init__(self, schedule: Schedule, device: Any) -> None:
        super().__init__(schedule)
        self.device = device
        self._sharding = self._jax.sharding.SingleDeviceSharding(device)

    def input(self, number: int, value: Any) -> Any:
        """The value on the device: what JAX holds is brought from other devices, NumPy's arrays go there with the call."""
        return self._jax.device_put(value, self.device) if isinstance(value, self._jax.Array) else value

    def state(self) -> list[Any]:
        """The arrays of all variables on the device."""
        here, variables = self._sharding, self.schedule.variables  # what a call returned has this very object
        return [value if getattr(value := x.storage, "sharding", None) is here else self.variable(x) for x in variables]

    def variable(self, variable: Variable) -> Any:
        """The variable's array on the device, copied there if it is not there yet."""
        value = variable.storage
        if isinstance(value, self._jax.Array) and value.sharding == self._sharding:
            return value
        value = _local(value)
        return _kept(variable, self._jax.device_put(value if isinstance(value, self._jax.Array) else np.array(value), self.device))

    def data(self, value: Any) -> Any:
        """The data set, on the device."""
        return self._jax.device_put(value, self.device)

    def jit_arguments(self, known: Mapping[str, int], *, scanned: bool = False) -> dict[str, Any]:
        """That what it returns is on the device, so that a call without inputs runs there too."""
        return {"out_shardings": self._sharding}

    def __str__(self) -> str:
        return f"{self.device.platform}:{self.device.id}"


class OnMesh(Placement):
    """Inputs, outputs and variables spread over a mesh of devices.

    ``print`` it for the layout of each. Raises :class:`ArgumentError` and :class:`ShapeError` for layouts that do not fit the graph.
    """

    def __init__(self, options: Jax, schedule: Schedule, mesh: Any) -> None:
        super().__init__(schedule)
        self.mesh = mesh
        self._axes = dict(options.axes or {})
        self._mesh_sizes: dict[str, int] = dict(mesh.shape)
        self._shardings: dict[Layout, Any] = {}
        _check_axes(self._axes, schedule)
        self.layouts = layout.of_variables(options.shard, self._axes, self._mesh_sizes, schedule)
        self._state = {variable: self._sharding(spread) for variable, spread in self.layouts.items()}
        self._whole = self._sharding(())

    def _sharding(self, spread: Layout) -> Any:
        while spread and spread[-1] is None:
            spread = spread[:-1]
        if spread not in self._shardings:
            self._shardings[spread] = self._jax.sharding.NamedSharding(self.mesh, self._jax.sharding.PartitionSpec(*spread))
        return self._shardings[spread]

    def input(self, number: int, value: Any) -> Any:
        """The value: what JAX holds is laid out anew for these sizes, NumPy's arrays are cut up by the call."""
        if not isinstance(value, self._jax.Array):
            return value
        x = self.schedule.inputs[number]
        return self._jax.device_put(value, self._sharding(self._spread(x, _sizes_of(x, value.shape))))

    def variable(self, variable: Variable) -> Any:
        """The variable's array in its layout, brought to it if it is not there yet."""
        value, sharding = variable.storage, self._state[variable]
        if isinstance(value, self._jax.Array):
            return value if value.sharding == sharding else self._jax.device_put(value, sharding)
        return _kept(variable, self._from_memory(np.asarray(value), sharding))

    def _from_memory(self, value: Any, sharding: Any) -> Any:
        # A copy of each piece: what is donated later must not be memory that others read.
        return self._jax.make_array_from_callback(value.shape, sharding, lambda piece: np.array(value[piece]))

    def data(self, value: Any) -> Any:
        """The data set, whole on every device."""
        return self._jax.device_put(value, self._whole)

    def batch(self, values: Sequence[Any], known: Mapping[str, int]) -> Sequence[Any]:
        """Inside of ``jax.jit``: values for the inputs, cut out of larger ones, laid out as the inputs are."""
        constrain = self._jax.lax.with_sharding_constraint
        inputs = zip(self.schedule.inputs, values, strict=True)
        return [constrain(value, self._sharding(self._spread(x, known))) for x, value in inputs]

    def jit_arguments(self, known: Mapping[str, int], *, scanned: bool = False) -> dict[str, Any]:
        """The layouts of what it takes and returns; with ``scanned`` outputs are stacks, and data comes as it lies."""
        self._check_sizes(known)
        stacked: Layout = (None,) if scanned else ()
        outputs = [self._sharding((*stacked, *self._spread(y, known))) for y in self.schedule.outputs]
        updates = [self._state[variable] for variable in self.schedule.updates]
        arguments = {"out_shardings": (outputs, updates, self._whole)}
        if not scanned:
            inputs = [self._sharding(self._spread(x, known)) for x in self.schedule.inputs]
            arguments["in_shardings"] = (*inputs, *self._state.values())
        return arguments

    def _spread(self, node: Tensor, known: Mapping[str, int]) -> Layout:
        return layout.of_value(node.shape, self._axes, self._mesh_sizes, known)

    def _check_sizes(self, known: Mapping[str, int]) -> None:
        for name, over in self._axes.items():
            if known.get(name, 0) % self._mesh_sizes[over]:
                warn(
                    f"{name} = {known[name]} is not divided by the {self._mesh_sizes[over]} devices of {over!r}: each computes all of it",
                    PlacementWarning,
                )

    def __str__(self) -> str:
        shape = ", ".join(f"{name}: {size}" for name, size in self._mesh_sizes.items())
        rows = [f"mesh {{{shape}}} of {self.mesh.size} {self.mesh.devices.flat[0].platform} devices"]
        axes = self._axes
        for what, nodes in (("input", self.schedule.inputs), ("output", self.schedule.outputs)):
            rows += [_row(what, node, [axes.get(sizes.name_of(n) or "") for n in node.shape]) for node in nodes]
        rows += [_row("variable", variable, self.layouts[variable]) for variable in self.schedule.variables]
        return "\n".join(rows)


class ManyProcesses(OnMesh):
    """A mesh of devices of several processes, each of which runs the same program and feeds its part of every batch.

    A named size that is spread over devices of several processes is, in the values of one process, that process's part of it. An
    input without such a size is to be the same in all processes, and so are the first values of variables. Outputs that are
    whole on every device are ordinary arrays; of others a process gets the part that its devices hold.
    """

    def __init__(self, options: Jax, schedule: Schedule, mesh: Any) -> None:
        super().__init__(options, schedule, mesh)
        self._parts = parts(mesh)
        self._agreed = False
        self._compared: set[tuple[int, ...]] = set()
        for x in schedule.inputs:
            _check_cut(x, {name for name, over in self._axes.items() if self._parts[over] > 1})

    def sizes(self, values: Sequence[Any], known: tuple[int, ...], names: Sequence[str]) -> tuple[int, ...]:
        """The sizes of all parts together; the values themselves may be arrays of all processes already."""
        if any(isinstance(value, self._jax.Array) and not value.is_fully_addressable for value in values):
            return known
        if known and known not in self._compared:
            self._compare(dict(zip(names, known, strict=True)))
            self._compared.add(known)
        return tuple([size * self._of(name) for name, size in zip(names, known, strict=True)])

    def _compare(self, known: Mapping[str, int]) -> None:
        """Processes that meet sizes for the first time compare them: parts of different sizes would not fit together."""
        if len(np.unique(everyones(list(known.values())), axis=0)) > 1:
            given = ", ".join(f"{name} = {size}" for name, size in known.items())
            raise ShapeError("the processes feed values of different sizes", given=[f"this one: {given}"], fits="equal parts of the batch")

    def _of(self, name: str) -> int:
        return self._parts[self._axes[name]] if name in self._axes else 1

    def input(self, number: int, value: Any) -> Any:
        """The whole value, made from this process's part of it."""
        if isinstance(value, self._jax.Array) and not value.is_fully_addressable:
            return value
        x = self.schedule.inputs[number]
        shape = [size * self._of(sizes.name_of(dim) or "") for dim, size in zip(x.shape, value.shape, strict=True)]
        sharding = self._sharding(self._spread(x, _sizes_of(x, shape)))
        return self._jax.make_array_from_process_local_data(sharding, np.asarray(value), tuple(shape))

    def state(self) -> list[Any]:
        """The arrays of all variables; before the first call the processes compare their values."""
        if self.schedule.variables and not self._agreed:
            agree(self.schedule.variables)
            self._agreed = True
        return super().state()

    def variable(self, variable: Variable) -> Any:
        """The variable's array in its layout, brought to it if it is not there yet."""
        value, sharding = variable.storage, self._state[variable]
        value = value.array if isinstance(value, Spread) else value
        if isinstance(value, self._jax.Array) and value.sharding == sharding:
            return value
        return self._from_memory(whole(value), sharding)

    def store(self, variable: Variable, value: Any) -> None:
        """Make this array the value of the variable; one of which other processes hold a part can still be read as a whole."""
        variable.storage = value if value.is_fully_replicated else Spread(value)

    def outputs(self, values: Sequence[Any]) -> Sequence[Any]:
        """Ordinary arrays of this process."""
        return [_local(value) for value in values]

    def data(self, value: Any) -> Any:
        """Not to be had: a process has only its own part of the rows."""
        raise BackendError("many steps in one call, over several processes", fits="steps_per_call=1")

    def _check_sizes(self, known: Mapping[str, int]) -> None:
        for name, over in self._axes.items():
            if known.get(name, 0) % self._mesh_sizes[over]:
                here = self._mesh_sizes[over] // self._parts[over]
                raise ShapeError(
                    f"{name} = {known[name]} over all processes is not divided by the {self._mesh_sizes[over]} devices of {over!r}",
                    fits=f"a multiple of {here} in each process, the same number in all",
                )


def _kept(variable: Variable, placed: Any) -> Any:
    """The array, in the place of the variable's memory, so that the next call finds it on the device."""
    if isinstance(variable.storage, np.ndarray):
        variable.storage = placed
    return placed


def _local(value: Any) -> Any:
    """The value as an array of this process: whole where each process has it whole, else the part that is here."""
    if isinstance(value, Spread) or getattr(value, "is_fully_addressable", True):
        return value
    if value.is_fully_replicated:
        return value.addressable_data(0)
    pieces = devices.import_jax().experimental.multihost_utils
    return pieces.global_array_to_host_local_array(value, value.sharding.mesh, value.sharding.spec)


def _sizes_of(x: Tensor, shape: Sequence[int]) -> dict[str, int]:
    """The named sizes that are axes of the input, read off a value's shape."""
    names = [sizes.name_of(dim) for dim in x.shape]
    return {name: size for name, size in zip(names, shape, strict=True) if name}


def _check_axes(axes: Mapping[str, str], schedule: Schedule) -> None:
    """Named sizes of which ``axes`` knows none are a slip; a function may well have a part of what ``axes`` knows, or no named size."""
    names = {name for x in schedule.inputs for dim in x.shape if not isinstance(dim, int) for name in sizes.names(dim)}
    if axes and names and not names & set(axes):
        raise ArgumentError(
            f"axes: no input has a size {next(iter(axes))!r}",
            given=[describe(x) for x in schedule.inputs],
            fits=", ".join(map(repr, sorted(names))),
        )


def _check_cut(x: Tensor, cut: set[str]) -> None:
    """An axis of ``2*batch`` rows has no part of this process that goes with the process's part of the batch."""
    for dim in x.shape:
        if not isinstance(dim, int) and sizes.name_of(dim) is None and sizes.names(dim) & cut:
            raise BackendError(
                f"the size {dim} is made of one that is spread over processes", given=[describe(x)], fits="an axis with a name of its own"
            )


def _row(what: str, node: Tensor, spread: Sequence[str | None]) -> str:
    over = ", ".join(str(axis) for axis in (*spread, *[None] * (len(node.shape) - len(spread))))
    return f"  {what:9} {node.label or '':24} {node.type!s:28} ({over})"
