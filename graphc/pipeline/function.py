"""A compiled graph that is called: its values are checked, named sizes are read off them, and results come in the outputs' structure."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from graphc.core import Tensor, Variable, describe, dtypes
from graphc.core.errors import ArgumentError, BackendError, GraphcError, KinkError, entries, trimmed
from graphc.core.expr import Input
from graphc.core.signature import Signature, structured
from graphc.lower import NumpyProgram
from graphc.pipeline.locks import UpdateLock
from graphc.pipeline.repeated import Repeated
from graphc.pipeline.report import Report

if TYPE_CHECKING:
    from pathlib import Path

    from graphc.lower.targets.jax import Cost, JaxProgram
    from graphc.pipeline.explain import Explanation
    from graphc.show.page import Page
    from graphc.show.text import SourceText


@entries("explain", "prepared", "repeated", "save", "hlo", "cost")
class Function:
    """A compiled graph. Call it with a value for each input; named sizes are read off the values.

    ``source`` is the code that runs, ``report`` what the compiler did. A call leaves the inputs as they are, updates the
    variables, and returns fresh arrays (NumPy arrays and scalars, or JAX arrays on JAX) in the structure of the outputs.
    It may be called from several threads; calls of functions that update the same variables wait for one another. One that only reads
    them does not wait, so that a call beside an update may see some variables before it and some after.
    """

    def __init__(self, inputs: tuple[Input, ...], structure: Any, program: NumpyProgram | JaxProgram, report: Report) -> None:
        self.inputs, self.report = inputs, report
        self._structure, self._program, self._call = structure, program, program.run
        self._watched = False
        self._signature = Signature(inputs, program.source.sizes)
        self._updates = UpdateLock(program.schedule.updates) if program.schedule.updates else None

    @property
    def source(self) -> SourceText:
        """The Python source that runs: ``make(sizes and constants)`` allocates and returns ``step(inputs, variables)``."""
        from graphc.show.text import SourceText

        return SourceText(self._program.source.text)

    @property
    def lowered(self) -> tuple[Tensor, ...]:
        """The graph that runs: the outputs, and then the new values of variables."""
        return self.report.lowered

    def explain(self, what: Tensor | str | None = None) -> Explanation | Page:
        """What became of a node: the rules that fired at it or made it unnecessary, and the lines and the memory that it ended in.

        ``what`` is a node of the graph that was compiled, its label, an op (all nodes of it) or a rule (all its uses); None gives every
        rule that fired. ``print`` the result, or show it in a notebook. Raises :class:`ArgumentError` for a name that nothing has.
        """
        from graphc.pipeline.explain import explain

        return explain(self.report, what)

    def __call__(self, *values: Any) -> Any:
        """Run on these values. Raises :class:`ShapeError` and :class:`DTypeError` for values that do not fit the inputs."""
        try:
            bound = self._signature.remembered(values)
            if bound is None:
                values, bound = self._signature.checked(values)
            return self._run(values, bound)
        except GraphcError as error:
            __tracebackhide__ = True  # pytest and IPython leave this frame out
            raise trimmed(error) from error.__cause__

    def prepared(self, *values: Any) -> Callable[..., Any]:
        """The call for values of the shapes and dtypes of these, which are then not looked at again. Raises as a call does."""
        arrays, bound = self._signature.checked(values)
        if any(array is not value for array, value in zip(arrays, values, strict=True)):
            return self  # each value has to be brought to its dtype
        return lambda *values: self._run(values, bound)

    def watch(self, watcher: Callable[[NumpyProgram | JaxProgram, Report], Callable[..., Sequence[Any]]]) -> Function:
        """Let what ``watcher`` makes of the program run in its place, as a watcher of :mod:`graphc.checking` does. Returns the function."""
        self._call, self._watched = watcher(self._program, self.report), True
        return self

    @property
    def holds_inputs(self) -> bool:
        """Whether values may still be read after a call has returned, as JAX does."""
        return self.report.backend == "jax"

    @property
    def repeats(self) -> bool:
        """Whether many steps may be one call: on JAX, unless a check may fail in one of them."""
        return self._program.many is not None and not self._watched

    def repeated(self, *values: Any) -> Repeated:
        """Many steps as one call, for batches of the shapes and dtypes of these. Raises as a call does."""
        assert self._program.many is not None
        _, bound = self._signature.checked(values)
        return Repeated(self._signature, self._structure, self._program.many, bound, len(values[0]))

    @property
    def variables(self) -> tuple[Variable, ...]:
        """The variables that it reads or updates."""
        return (self._program.schedule if isinstance(self._program, NumpyProgram) else self._program.plain).variables

    def save(
        self,
        path: str | os.PathLike[str],
        *,
        platforms: Sequence[str] = ("cpu", "cuda", "tpu"),
        sizes: Mapping[str, int] | None = None,
    ) -> Path:
        """Write the function and the present values of its variables to a file, which ``graphc.load`` reads in any process with JAX.

        The file holds StableHLO for the ``platforms`` ("cpu", "cuda", "tpu", "rocm"), so a function for NumPy is saved as JAX would run it.
        Named sizes stay names, but for those with numbers in ``sizes``. The file is there whole or not at all. Raises
        :class:`ArgumentError`, :class:`ExportError` for a graph that has no portable form and where the file cannot be written, and
        :class:`BackendError` without JAX or flatbuffers.
        """
        from graphc.pipeline.saving import portable, save

        program = portable(self.inputs, self._program, self.report)
        return save(path, program, self._structure, platforms, sizes or {})

    def hlo(self, *shapes: Any, optimized: bool = False) -> str:
        """What XLA is given, as text: StableHLO for inputs of these shapes, or for those of the last call.

        A shape is a tuple; anything else is a value and stands for its own. ``optimized`` gives XLA's program after its passes. Raises
        :class:`BackendError` on NumPy, :class:`ArgumentError` without shapes before the first call, and what a call raises for shapes that
        do not fit.
        """
        lowered = self._lowered("hlo", shapes)
        return lowered.compile().as_text() if optimized else lowered.as_text()

    def cost(self, *shapes: Any) -> Cost:
        """What XLA says that a call costs. Arguments and errors are those of :meth:`hlo`."""
        from graphc.lower.targets.jax import cost_of

        return cost_of(self._lowered("cost", shapes).compile())

    def _lowered(self, asked: str, shapes: Sequence[Any]) -> Any:
        if isinstance(self._program, NumpyProgram):
            raise BackendError(f"{asked}() of a function on NumPy", fits='backend="jax"; on NumPy function.source and function.report')
        sizes = None
        if shapes:
            values = [_of_shape(value, x) for value, x in zip(shapes, self.inputs, strict=False)]
            _, sizes = self._signature.checked([*values, *shapes[len(values) :]])
        lowered = self._program.lowered(sizes)
        if lowered is None:
            raise ArgumentError(
                f"{asked}() without shapes, before the first call", given=[describe(x) for x in self.inputs], fits="a shape for each input"
            )
        return lowered

    def _run(self, values: Sequence[Any], bound: tuple[int, ...]) -> Any:
        try:
            if self._updates is None:
                return structured(self._structure, self._call(values, bound))
            with self._updates:
                return structured(self._structure, self._call(values, bound))
        except GraphcError:
            raise
        except ArithmeticError as error:
            raise KinkError(str(error), fits="a point off the kink, or kinks='zero' in gc.grad") from None

    @property
    def page(self) -> Page:
        """The report, and the source folded below it."""
        from graphc.show.page import Code, Page, Section

        report, lines = self.report.page.section, self.source.count("\n")
        return Page(Section(repr(self), [report, Section(f"the source that runs, {lines} lines", [Code(self.source)], folded=True)]))

    def _repr_html_(self) -> str:
        from graphc.show.page import html

        return html(self.page.section)

    def __rich__(self) -> Any:
        return self.report.__rich__()

    def __repr__(self) -> str:
        return f"<graphc function of ({', '.join(str(x.label) for x in self.inputs)}) on {self.report.backend}>"


def _of_shape(value: Any, x: Input) -> Any:
    """A value for the input; one of this shape, in the memory of one number, if it is a shape."""
    if not isinstance(value, tuple):
        return value
    return np.broadcast_to(np.zeros((), dtypes.numpy_dtype(x.dtype)), cast("tuple[int, ...]", value))
