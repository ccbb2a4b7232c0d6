"""``compile(..., check=True)``: what is wrong is found, named, and shown by a program of its own; what is right passes."""

import importlib.util
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import graphc as gc
from graphc.core import toposort
from graphc.core.errors import ArgumentError, CheckError
from graphc.lower.targets.numpy import NumpyProgram

HERE = Path(__file__).parent
ROOT = str(HERE.parents[1])
SPEC = importlib.util.spec_from_file_location("wrong", HERE / "wrong.py")
assert SPEC is not None
assert SPEC.loader is not None
wrong = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(wrong)
NUMPY = gc.Check(other_backend=False)
VALUE = np.random.default_rng(0).normal(size=(8, 6)).astype("float32")


def weights() -> gc.Variable:
    return gc.variable(np.random.default_rng(1).normal(size=(6, 6)).astype("float32"), "w")


class Mistake(NamedTuple):
    """A graph of x and w in which a mistake shows, and what the error says of it."""

    graph: Callable[[Any, Any], Any]
    road: str
    op: str
    says: list[str]


def long_lived(x: Any, w: Any) -> Any:
    """``exp`` is read by the next step, and again after others that need memory."""
    e = gc.exp(gc.sin(x @ w))
    a = e * 0.5
    b = gc.tanh(gc.cos(a) + gc.sin(x @ w))
    return (gc.cos(b) + e) @ w


MISTAKES = {
    "rule": Mistake(
        lambda x, w: gc.tanh(gc.log(1 + gc.square(x @ w))) * 2,
        "rules",
        "log",
        ["the rule wrong_log (rounding: A wrong rule.)", "operand x"],
    ),
    "plan": Mistake(long_lived, "plan", "", ["right when written, and wrong when read", "exp", "gone with without='reuse'"]),
    "source": Mistake(lambda x, w: gc.cos(gc.tanh(gc.sin(x @ w))) @ w, "plan", "tanh", ["the order, the memory or the source"]),
    "memory": Mistake(lambda x, w: gc.cos(gc.tanh(gc.sin(x @ w))) @ w, "plan", "tanh", []),
    "jax": Mistake(lambda x, w: gc.cos(gc.erf(gc.sin(x @ w))) @ w, "backend", "erf", ["on the same operands JAX's form"]),
}


@pytest.fixture(scope="module")
def errors(tmp_path_factory: pytest.TempPathFactory) -> dict[str, CheckError]:
    """What each mistake leads to."""
    found: dict[str, CheckError] = {}
    for kind, case in MISTAKES.items():
        x, w = gc.input("x", ("n", 6)), weights()
        before = w.value
        y = case.graph(x, w)
        with wrong.MISTAKES[kind]():
            check = gc.Check(other_backend=kind == "jax", folder=tmp_path_factory.mktemp(kind))
            step = gc.compile([x], y, {w: w - 0.1 * gc.grad(gc.sum(y), w)}, check=check)
            with pytest.raises(CheckError) as caught:
                step(VALUE[:3])
        np.testing.assert_array_equal(w.value, before)
        found[kind] = caught.value
    return found


@pytest.mark.parametrize("kind", MISTAKES)
def test_a_mistake_is_found_and_named(kind: str, errors: dict[str, CheckError]) -> None:
    case, error = MISTAKES[kind], errors[kind]
    assert error.road == case.road
    assert not case.op or error.node.op.name == case.op
    for text in [*case.says, "test_check.py:", str(error.script)]:
        assert text in str(error)


@pytest.mark.parametrize("kind", MISTAKES)
def test_the_program_is_small(kind: str, errors: dict[str, CheckError]) -> None:
    program = errors[kind].script.read_text()
    assert len([line for line in program.splitlines() if line.startswith("v")]) <= 10, program
    assert "(1, 1)" in program, program
    assert "npz" not in program


def test_the_programs_fail_with_the_mistake_alone(errors: dict[str, CheckError]) -> None:
    """In a process of their own, which knows nothing of where they come from."""
    arguments = [text for kind, error in errors.items() for text in (kind, str(error.script))]
    found = subprocess.run(
        [sys.executable, HERE / "wrong.py", *arguments], capture_output=True, text=True, check=True, env=os.environ | {"PYTHONPATH": ROOT}
    )
    outcomes = [line.split()[1:] for line in found.stdout.splitlines() if line.startswith("outcome")]
    assert outcomes == [[kind, "CheckError", "fine"] for kind in MISTAKES], found.stdout + found.stderr


def test_arrays_that_matter_as_a_whole_are_kept_beside_the_program(tmp_path: Path) -> None:
    x = gc.input("x", (40,))
    values = np.linspace(0, 1, 40, dtype="float32")
    with wrong.wrong_rule():
        check = gc.Check(other_backend=False, folder=tmp_path, seconds=0)
        with pytest.raises(CheckError) as caught:
            gc.compile([x], gc.sum(gc.log(1 + x)), check=check)(values)
        assert "np.load" in caught.value.script.read_text()
        assert wrong.outcome(str(caught.value.script)) == "CheckError"
    assert wrong.outcome(str(caught.value.script)) == "fine"


def test_a_function_on_jax_is_compared_with_numpy() -> None:
    x = gc.input("x", ("n", 6))
    step = gc.compile([x], gc.erf(x) * 2, backend="jax", check=gc.Check(script=False))
    step(VALUE)
    with wrong.wrong_jax():
        step = gc.compile([x], gc.erf(x) * 2, backend="jax", check=gc.Check(script=False))
        with pytest.raises(CheckError, match="JAX is not that of the plain graph") as caught:
            step(VALUE)
    assert (caught.value.road, caught.value.node.op.name, caught.value.script) == ("backend", "erf", None)


def test_a_rule_in_the_body_of_a_loop_is_named() -> None:
    x = gc.input("x", (5, 3))
    y = gc.scan(lambda c, item: (gc.log(1 + gc.square(c)) + item, gc.sum(c)), gc.zeros((3,)), x)[0]
    with wrong.wrong_rule():
        step = gc.compile([x], y, check=gc.Check(other_backend=False, script=False))
        with pytest.raises(CheckError) as caught:
            step(VALUE[:5, :3] + 1)
    assert (caught.value.rule, caught.value.node.op.name) == ("wrong_log", "log")


def test_exact_rules_are_held_to_every_bit() -> None:
    """A difference that rounding would excuse is none that an exact rule may make."""
    x = gc.input("x", (3,))

    def graph() -> Any:
        return x * 3 - 1

    def off(safety: str) -> Any:
        @wrong.rewrite.rule(wrong.X - 1, safety=safety)
        def one_more_bit(x: Any) -> Any:
            """Off by one unit in the last place."""
            return x - np.nextafter(np.float32(1), np.float32(2))

        return wrong.mock.patch.object(wrong.rewrite, "DEFAULT", wrong.rewrite.RuleSet([one_more_bit]))

    for safety in ("rounding", "exact"):
        wrong.road._rules.cache_clear()
        with off(safety):
            step = gc.compile([x], graph(), check=gc.Check(other_backend=False, script=False))
            if safety == "rounding":
                step(np.float32([1, 2, 3]))
            else:
                with pytest.raises(CheckError):
                    step(np.float32([1, 2, 3]))
    wrong.road._rules.cache_clear()


def test_updates_and_results_are_those_of_an_unchecked_function() -> None:
    x, w, v = gc.input("x", ("n", 6)), weights(), weights()

    def updates(w: Any) -> Any:
        y = gc.mean(gc.tanh(x @ w))
        return y, {w: w - 0.1 * gc.grad(y, w)}

    plain, checked = gc.compile([x], *updates(w)), gc.compile([x], *updates(v), check=NUMPY, debug_nans=True)
    for n in (8, 5, 8):
        np.testing.assert_array_equal(plain(VALUE[:n]), checked(VALUE[:n]))
    np.testing.assert_array_equal(w.value, v.value)


def test_what_rounding_excuses_passes() -> None:
    """Sums that cancel, numbers beside a jump, an exponential that overflows in one spelling, and a matrix that is nearly singular."""
    x = gc.input("x", ("n", 6))
    near = x - gc.stop_gradient(x * (1 + 1e-7))
    square = x.T @ x
    graphs = [
        gc.sum(x) - gc.sum(x.T),
        gc.log(gc.sum(gc.exp(x * 40), axis=-1)),
        gc.argmax(near, axis=0),
        gc.cast(near > 0, "float32") * 100,
        gc.linalg.solve(square + 1e-4, x.T),
        gc.grad(gc.mean(gc.square(gc.softmax(x * 30) - 0.5)), x),
    ]
    gc.compile([x], graphs, check=NUMPY)(VALUE)


def test_check_may_be_less_often() -> None:
    x = gc.input("x", ("n",))
    runs: list[int] = []
    with wrong.mock.patch.object(
        gc.checking.watch.Problem, "run", lambda self, program: runs.append(len(self.arguments[0])) or [self.plain.values[0]]
    ):  # type: ignore[func-returns-value]
        step = gc.compile([x], gc.sum(x), check=gc.Check(every=3, other_backend=False))
        for n in (2, 2, 2, 2, 5, 2):
            step(np.ones(n, "float32"))
    assert runs == [2, 2, 5]


def test_bad_options() -> None:
    x = gc.input("x", ())
    cases: list[tuple[Any, str]] = [
        (lambda: gc.compile([x], x, check=2), "check=2"),
        (lambda: gc.Check(every=0), "every=0"),
        (lambda: gc.Check(seconds=-1), "seconds=-1"),
    ]
    for call, named in cases:
        with pytest.raises(ArgumentError, match=named):
            call()


def test_an_error_of_a_call_is_the_error_of_a_checked_call() -> None:
    x, i = gc.input("x", ("n",)), gc.input("i", (2,), "int32")
    step = gc.compile([x, i], gc.take(x, i), check=NUMPY)
    with pytest.raises(IndexError):
        step(np.ones(3, "float32"), np.int32([0, 7]))


@pytest.mark.parametrize("size", [1, 3000])
def test_memory_that_is_free_is_filled(size: int) -> None:
    """In loops over rows, over time, and in bodies too; results stay the same, and nothing is read after it was freed."""
    x = gc.input("x", ("n", 16))
    h = gc.tanh(x * 2) * gc.sigmoid(x) + gc.exp(-gc.square(x))
    last, each = gc.scan(lambda c, row: (gc.tanh(c + row) * gc.cos(c), gc.sum(c * row)), gc.zeros((16,)), h[:7])
    chosen = gc.cond(gc.sum(x) > 0, lambda v: gc.sin(v) * gc.exp(v * 0.1), lambda v: gc.cos(v) * v, last)
    outputs = [gc.sum(h, axis=0), gc.softmax(h), chosen, each]
    outputs += [gc.grad(gc.sum(outputs[0]) + gc.sum(chosen), x)]
    values = np.random.default_rng(0).normal(size=(max(size, 7), 16)).astype("float32")
    step = gc.compile([x], outputs)
    expected = step(values)
    program = step.report.program
    assert isinstance(program, NumpyProgram)
    for kind in ("free", "note"):
        watched = program.watched(kind)  # type: ignore[arg-type]
        for _ in range(2):
            for found, value in zip(watched.run([values], (len(values),)), expected, strict=True):
                np.testing.assert_array_equal(found, value)
        assert "watching.free(" in watched.source.text
    assert len(toposort(outputs)) > 20
    assert math.isfinite(float(np.sum(expected[0])))
