"""Programs for XLA as bytes, by ``jax.export``, and how they run again.

``jax.export`` keeps StableHLO, a portable form that later versions of JAX read, for several platforms at once and with sizes that are
names. What was read is looked through before it runs: a program may only compute. It may not call what is registered in JAX's library
beyond what JAX itself calls for linear algebra, sorting and random numbers, since there are kernels among that which run any code; and it
may not talk to the host.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from graphc.backends import Jax
from graphc.core import Input, Variable, sizes
from graphc.core.errors import BackendError, ShapeError
from graphc.export.errors import ExportError
from graphc.export.record import Leaf, Record
from graphc.lower import Schedule, Source
from graphc.lower.targets.jax import JaxProgram, import_jax
from graphc.lower.targets.jax.devices import default_platform

PLATFORMS: Final = ("cpu", "cuda", "tpu")
ALL_PLATFORMS: Final = (*PLATFORMS, "rocm")
ALLOWED: Final = re.compile(
    r"lapack_[a-z]+_ffi|(cu|hip)(solver|sparse|blas)_[a-z0-9]+_ffi|(cu|hip)_(lu_pivots_to_permutation|threefry2x32_ffi)"
    r"|Eigh|Qr|ProductOfElementaryHouseholderReflectors|LuDecomposition|ApproxTopK|AllocateBuffer"
    r"|stablehlo\.dynamic_(approx_top_k|reduce_window|rng_bit_generator|top_k)|shape_assertion"
    r"|Sharding|SPMDFullToShardShape|SPMDShardToFullShape|annotate_device_placement"
)
"""The kernels that JAX keeps stable for exported programs, less those that bring code of their own (Pallas, TensorFlow)."""
COMPUTING: Final = re.compile(r"(stablehlo|func|builtin|chlo|sdy)\..*")
TALKING: Final = frozenset({"stablehlo.infeed", "stablehlo.outfeed", "stablehlo.send", "stablehlo.recv"})
_MEANS_ANOTHER: Final = frozenset({"max", "min", "mod", "floordiv", "non_negative"})
"""Names of sizes that are functions in ``jax.export``'s notation."""


def jax_export() -> Any:
    """The module ``jax.export`` and what it needs, or an error that says how to get it."""
    import_jax()
    try:
        importlib.import_module("flatbuffers")
    except ImportError as error:
        raise BackendError(
            f"saving and loading functions needs the package flatbuffers, which does not import: {error}",
            fits='pip install "graphc[jax]", or pip install flatbuffers',
        ) from error
    return importlib.import_module("jax.export")


def serialized(program: JaxProgram, platforms: Sequence[str], known: Mapping[str, int]) -> bytes:
    """The program as bytes, for these platforms; named sizes without a number in ``known`` stay names.

    Raises :class:`ExportError` for what has no such form, and :class:`BackendError` without the package flatbuffers.
    """
    export, jax, schedule = jax_export(), import_jax(), program.schedule
    open_names = [name for name in program.source.sizes if name not in known]
    try:
        with program.precision():
            dims: dict[str, Any] = dict(known)
            if open_names:
                symbols = export.symbolic_shape(", ".join([f"{name}_" if name in _MEANS_ANOTHER else name for name in open_names]))
                dims |= dict(zip(open_names, symbols, strict=True))
            given = [jax.ShapeDtypeStruct(tuple([sizes.bind(size, dims) for size in x.shape]), x.dtype) for x in schedule.inputs]
            state = [jax.ShapeDtypeStruct(variable.shape, variable.dtype) for variable in schedule.variables]
            step = jax.jit(program.bare(tuple([dims[name] for name in program.source.sizes])))
            exported = export.export(step, platforms=list(platforms))(*given, *state)
            content = bytes(exported.serialize())
    except Exception as error:  # whatever an op's tracing raises for a size without a number, or for a platform that has no form of it
        fits = f"sizes={{{open_names[0]!r}: 128}}, which fixes the size; or " if open_names else ""
        raise ExportError(
            "the function has no portable form",
            given=[f"{type(error).__name__}: {_first_line(error)}"],
            fits=f"{fits}fewer platforms than {', '.join(platforms)}",
        ) from error
    _check_calls(exported.mlir_module_serialized)
    return content


def deserialized(content: bytes, record: Record, made: Mapping[str, str]) -> Any:
    """The program (``jax.export.Exported``) of these bytes, which the versions in ``made`` wrote.

    Raises :class:`ExportError` for bytes that are none, for one that does not have the types of the record, that may do more than compute,
    or that is not for this platform; :class:`BackendError` without the package flatbuffers.
    """
    export = jax_export()
    try:
        exported = export.deserialize(bytearray(content))
        found = _types(exported.in_avals), _types(exported.out_avals)
    except Exception as error:  # it reads offsets as they come, so bytes that were made up may raise anything
        raise ExportError(
            "JAX does not read the program in the file",
            given=[f"{type(error).__name__}: {_first_line(error)}", f"made by JAX {made.get('jax')}, read by {import_jax().__version__}"],
            fits="a file made by Function.save; the JAX that made it, or a newer one",
        ) from error
    expected = _expected([*record.inputs, *record.variables]), _expected(_results(record))
    alone = exported.nr_devices == 1 and not exported.ordered_effects and not exported.unordered_effects
    if not alone or not all(map(_agree, found, expected)):
        raise ExportError("the program in the file is not the one that its record describes", fits="a file made by Function.save")
    _check_platform(exported.platforms)
    _check_calls(exported.mlir_module_serialized)
    return exported


class ExportedProgram(JaxProgram):
    """A program that was read from a file, with variables of its own."""

    def __init__(self, exported: Any, record: Record, variables: Sequence[Variable]) -> None:
        inputs: list[Input] = [leaf.input() for leaf in record.inputs]
        outputs = [leaf.input() for leaf in record.outputs]
        updates = {variables[place]: variables[place] for place in record.updates}
        schedule = Schedule(tuple(inputs), tuple(variables), (), (), (), tuple(outputs), updates)
        self.plain = schedule
        self._exported = exported
        self._ready(schedule, Source(exported.mlir_module(), record.names, ()), Jax(), wide=record.wide)

    def run(self, inputs: Sequence[Any], sizes: tuple[int, ...]) -> Sequence[Any]:
        """The outputs, after the updates are in the variables. Raises :class:`ShapeError` for a named size that is 0."""
        for name, size in zip(self.source.sizes, sizes, strict=True):
            if size < 1:
                raise ShapeError(f"the size {name!r} is {size} in a call of a function from a file", fits="1 or more")
        return super().run(inputs, sizes)

    def bare(self, sizes: tuple[Any, ...]) -> Any:
        """The function of inputs and variables, for JAX to trace."""
        return self._exported.call


def _results(record: Record) -> list[Leaf]:
    return [*record.outputs, *[record.variables[place] for place in record.updates]]


Types = list[tuple[str, tuple[int | None, ...]]]
"""Dtypes and shapes; None for a size that is a name."""


def _types(avals: Sequence[Any]) -> Types:
    return [(str(aval.dtype), tuple([size if isinstance(size, int) else None for size in aval.shape])) for aval in avals]


def _expected(leaves: Sequence[Leaf]) -> Types:
    return [(leaf.dtype, tuple([size if isinstance(size, int) else None for size in leaf.shape])) for leaf in leaves]


def _agree(found: Types, expected: Types) -> bool:
    return found == expected


def _check_platform(platforms: Sequence[str]) -> None:
    platform = default_platform()
    here = {"gpu": {"cuda", "rocm"}}.get(platform, {platform})
    if here.isdisjoint(platforms):
        raise ExportError(
            f"the function was saved for {', '.join(platforms)}, and JAX runs on {platform} here",
            fits=f"Function.save(path, platforms=({', '.join(map(repr, sorted(here)))},))",
        )


def _check_calls(module: bytes) -> None:
    """Look through every operation of a program in StableHLO's portable form; see the head of this module."""
    ir = importlib.import_module("jaxlib.mlir.ir")
    stablehlo = importlib.import_module("jaxlib.mlir.dialects.stablehlo")
    forbidden: set[str] = set()

    def look(operation: Any) -> Any:
        name = operation.name
        if name == "stablehlo.custom_call":
            target = operation.attributes["call_target_name"].value
            name = "" if ALLOWED.fullmatch(target) else f"a call of {target!r}"
        elif COMPUTING.fullmatch(name) and name not in TALKING:
            name = ""
        forbidden.update([name] if name else [])
        return ir.WalkResult.ADVANCE

    with ir.Context() as context:
        context.allow_unregistered_dialects = True
        for dialect in ("stablehlo", "chlo", "sdy"):
            importlib.import_module(f"jaxlib.mlir.dialects.{dialect}").register_dialect(context)
        try:
            stablehlo.deserialize_portable_artifact(context, module).operation.walk(look)
        except (ValueError, RuntimeError, ir.MLIRError) as error:
            fits = "a file made by Function.save"
            raise ExportError("the program is no StableHLO that this JAX reads", given=[_first_line(error)], fits=fits) from error
    if forbidden:
        raise ExportError("the program does more than compute", given=sorted(forbidden)[:10], fits="a file made by Function.save")


def _first_line(error: BaseException) -> str:
    return (str(error).splitlines() or [""])[0][:300]
