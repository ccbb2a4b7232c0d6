"""Mutation test of the op table: change one field of one record, and some test of that op has to fail.

    python tests/mutate_table.py [--ops a,b] [--fields x,y] [--jobs 2] [--sample 0.1 --seed 0] [--verbose]

Each mutant lives in a process of its own, forked from one that has imported everything: no cache has to be cleared, and a mutant
that hangs or crashes harms nobody. The tests are the parametrised functions of ``tests/ops/test_table.py``, for the one op, from
cheap to dear, those that use JAX last; the first that fails kills the mutant. What no test sees, the page of the ops may show.
"""

# The environment has to be set before NumPy and JAX are imported.
# ruff: noqa: E402

from __future__ import annotations

import argparse
import ast
import functools
import itertools
import multiprocessing
import os
import pickle
import random
import re
import signal
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

import jax  # noqa: F401 (imported once, before the forks; it starts no thread until it compiles)

import graphc as gc
from graphc import core, reference
from graphc.core import OPS, Op, Tensor, dtypes
from graphc.core.types import TensorType
from graphc.testing import Call, calls

TABLE_TESTS = Path(__file__).parent / "ops" / "test_table.py"
UNSEEN_BY_JAX = {
    "out",
    "inplace",
    "domain",
    "kink_note",
    "laws",
    "flops",
    "text",
    "tex",
    "binds",
    "sympy",
    "ulps",
    "group",
    "zero_gradient",
}
"""Fields that the JAX target does not read: its tests are left out."""
LIMIT = 180
"""Seconds of a mutant; one that takes longer is taken for hanging, and so for killed."""
IDENTITY = {"name", "operands", "variadic", "attributes", "precision"}
"""Fields that say which op it is, or where it is used, not what it promises."""


EQUIVALENT = {
    "cast.inplace: x added": "a buffer is taken for a result of its dtype, and a cast has another",
    "where.inplace: c added": "it is right where all three are truth values, and only there of one dtype",
    **dict.fromkeys(
        ("cummax.jax: dropped", "cummin.jax: dropped", "logcumsumexp.jax: dropped"), "XLA's own is parallel, the other one a loop"
    ),
    **{
        f"{name}.helper: result of product nudged": "it says how much is done at once"
        for name in ("window_max", "window_max_tangent", "window_sum")
    },
    **{
        f"window_max_tangent.helper: result of {name} nudged": "only the gradient calls it, whose text is the same"
        for name in ("bits_of", "shared")
    },
    "pinv.jax: dropped": "what counts as 0 by default differs by a factor of ten in units of rounding",
}
"""Changes that change nothing, or nothing that a small call can show."""


# ---------------------------------------------------------------- mutants
@dataclass(frozen=True)
class Mutant:
    """A change of one record; ``apply`` makes it."""

    op: Op
    field: str
    change: str
    apply: Callable[[], None]

    def __str__(self) -> str:
        return f"{self.op.name}.{self.field}: {self.change}"


Change = tuple[str, dict[str, Any]]
"""What a mutant changes, in words, and the new values of the fields."""
MUTATIONS: dict[str, Callable[[Op], Iterator[Change]]] = {}
REACHED: set[str] = set()
"""What wrappers note when they have changed something: a share that is always None has no mutants."""


def of(field: str) -> Callable[[Any], Any]:
    """Register the changes of a field."""

    def register(changes: Callable[[Op], Iterator[Change]]) -> Callable[[Op], Iterator[Change]]:
        MUTATIONS[field] = changes
        return changes

    return register


def mutants(op: Op) -> list[Mutant]:
    """Every mutant of a record."""
    return [Mutant(op, field, change, functools.partial(_set, op, new)) for field, found in MUTATIONS.items() for change, new in found(op)]


def _set(op: Op, new: dict[str, Any]) -> None:
    for name, value in new.items():
        if name == "canonical":
            op.__dict__["canonical"] = value
        else:
            setattr(op, name, value)


def _nudged(value: Any, index: int = 0) -> Any:
    """Another value of the same type: truth values flipped, whole numbers one more, others one per cent and 0.01 more."""
    if value is None:
        return None
    if isinstance(value, tuple | list):
        items = list(value)
        items[index] = _nudged(items[index])
        return tuple(items)
    if isinstance(value, int):
        return value + 1
    if value.dtype == "bool":
        return gc.logical_not(value)
    return value + 1 if dtypes.is_integer(value.dtype) else (value * 1.01 + 0.01).astype(value.dtype)


_NUDGED = """
def nudged(y, index=0):
    if y is None:
        return None
    if isinstance(y, (tuple, list)):
        items = list(y)
        items[index] = nudged(items[index])
        return tuple(items)
    y = xp.asarray(y)
    if y.dtype == bool:
        return ~y
    if y.dtype.kind in "iu":
        return (y + 1).astype(y.dtype)
    return (y * 1.01 + 0.01).astype(y.dtype)
"""
_NUDGED_INTO = """
def nudged_into(out):
    out[...] = nudged(out)
"""


def _beside(text: str, module: str, *more: str) -> str:
    return "\n\n\n".join([part.strip("\n") for part in (text, _NUDGED.replace("xp.", f"{module}."), *more) if part])


def _wrapped(template: Any, index: int = 0) -> Any:
    """The template with its result nudged; a template that is made of attributes stays a function of them."""
    if not callable(template):
        return f"nudged({template}, {index})"
    names = template.__code__.co_varnames[: template.__code__.co_argcount]
    inner = {"inner": lambda *values: None if (found := template(*values)) is None else f"nudged({found}, {index})"}
    return eval(f"lambda {', '.join(names)}: inner({', '.join(names)})", inner)


def _results(op: Op) -> list[int]:
    """Places of the results to change: the first, and the last of several."""
    several = op.name in _SEVERAL
    return [0, -1] if several else [0]


@of("emit")
def _(op: Op) -> Iterator[Change]:
    if op.emit is None:
        return
    helpers = {"helper": _beside(op.helper, "np"), "jax_helper": _beside(op.jax_helper, "jnp")}
    for i in _results(op):
        yield f"result {i} nudged", {"emit": _wrapped(op.emit, i), **helpers}
    yield "dropped", {"emit": None}


@of("jax")
def _(op: Op) -> Iterator[Change]:
    if (op.jax or op.emit) is None:
        return
    for i in _results(op):
        yield f"result {i} nudged", {"jax": _wrapped(op.jax or op.emit, i), "jax_helper": _beside(op.jax_helper, "jnp")}
    if op.jax:
        yield "dropped", {"jax": None}


@of("out")
def _(op: Op) -> Iterator[Change]:
    if op.out:
        yield "nudged", {"out": f"{op.out}; nudged_into($out)", "helper": _beside(op.helper, "np", _NUDGED_INTO)}
        yield "dropped", {"out": None}


@of("imports")
def _(op: Op) -> Iterator[Change]:
    if op.imports:
        yield "dropped", {"imports": ""}


def _returning(text: str) -> list[str]:
    """The functions of a source that return something."""
    functions = [part for part in ast.parse(text).body if isinstance(part, ast.FunctionDef)]
    return [one.name for one in functions if any(isinstance(part, ast.Return) and part.value for part in ast.walk(one))]


def _of_helper(field: str, module: str) -> Callable[[Op], Iterator[Change]]:
    def changes(op: Op) -> Iterator[Change]:
        text: str = getattr(op, field)
        if not text:
            return
        yield "dropped", {field: ""}
        for name in _returning(text):
            kept = re.sub(rf"^def {name}\(", f"def {name}_as_it_was(", text, flags=re.MULTILINE)
            other = f"def {name}(*operands, **attributes):\n    return nudged({name}_as_it_was(*operands, **attributes))"
            yield f"result of {name} nudged", {field: _beside(kept, module, other)}

    return changes


of("helper")(_of_helper("helper", "np"))
of("jax_helper")(_of_helper("jax_helper", "jnp"))


def _flipped(field: str) -> Callable[[Op], Iterator[Change]]:
    def changes(op: Op) -> Iterator[Change]:
        yield f"{not getattr(op, field)}", {field: not getattr(op, field)}

    return changes


for _field in ("view", "pointwise", "raises"):
    of(_field)(_flipped(_field))


@of("partials")
def _(op: Op) -> Iterator[Change]:
    for i, partial in enumerate(op.partials):
        for change, value in _other_partials(partial):
            yield f"{op.operands[i]} {change}", {"partials": (*op.partials[:i], value, *op.partials[i + 1 :])}


def _other_partials(partial: Any) -> Iterator[tuple[str, Any]]:
    if callable(partial):
        yield "negated", lambda *values, **attributes: -partial(*values, **attributes)
        yield "doubled", lambda *values, **attributes: 2 * partial(*values, **attributes)
        yield "dropped", None
    elif partial is None:
        yield "one", 1
        return
    elif partial:
        yield "negated", -partial
        yield "doubled", 2 * partial
        yield "dropped", None
    yield ("zero", 0) if partial != 0 else ("one", 1)


def _without(names: tuple[str, ...], name: str) -> tuple[str, ...]:
    return tuple([other for other in names if other != name])


@of("linear")
def _(op: Op) -> Iterator[Change]:
    for name in op.operands:
        if name in op.linear:
            yield f"{name} dropped", {"linear": _without(op.linear, name)}
        else:
            yield f"{name} added", {"linear": (*op.linear, name)}


@of("promote")
def _(op: Op) -> Iterator[Change]:
    if len(op.promote) == 1 and op.compute is None and not op.variadic:
        return  # one operand, whose dtype stays: it says nothing
    for name in op.promote:
        yield f"{name} dropped", {"promote": _without(op.promote, name)}
    if len(op.promote) > 1:
        yield "dropped", {"promote": ()}


@of("compute")
def _(op: Op) -> Iterator[Change]:
    if not op.promote:
        return
    if op.compute is None:
        yield "floats alone", {"compute": dtypes.floating}
    else:
        yield "dropped", {"compute": None}
    yield "float64", {"compute": lambda dtype: "float64"}


@of("inplace")
def _(op: Op) -> Iterator[Change]:
    if not (op.pointwise and op.out):
        return
    allowed = op.operands if op.inplace is None else op.inplace
    for name in op.operands:
        if name in allowed:
            yield f"{name} dropped", {"inplace": _without(allowed, name)}
        else:
            yield f"{name} added", {"inplace": (*allowed, name)}


@of("domain")
def _(op: Op) -> Iterator[Change]:
    for i, (low, high) in enumerate(op.domain):
        wide = (high - low) / 2 or 1.0
        for change, interval in (("low end moved out", (low - wide, high)), ("high end moved out", (low, high + wide))):
            yield f"{i} {change}", {"domain": (*op.domain[:i], interval, *op.domain[i + 1 :])}
    if op.domain:
        yield "dropped", {"domain": ()}


@of("kinks")
def _(op: Op) -> Iterator[Change]:
    kinks = op.kinks
    if kinks is None:
        if op.pointwise and any(callable(partial) for partial in op.partials):
            yield "added at 0", {"kinks": lambda *values, **attributes: gc.equal(values[0], 0), "kink_note": "made up"}
        return
    yield "dropped", {"kinks": None}
    yield "shifted", {"kinks": lambda *values, **attributes: kinks(values[0] + 0.125, *values[1:], **attributes)}


@of("choice")
def _(op: Op) -> Iterator[Change]:
    if op.choice is not None:
        yield "dropped", {"choice": None}


@of("kink_note")
def _(op: Op) -> Iterator[Change]:
    if op.kink_note:
        yield "emptied", {"kink_note": ""}
        yield "another", {"kink_note": "2 everywhere"}


@of("laws")
def _(op: Op) -> Iterator[Change]:
    for law in op.laws:
        yield f"{law} dropped", {"laws": tuple([other for other in op.laws if other != law])}
    candidates = {1: ("involution", "idempotent"), 2: ("commutative", "associative", "idempotent")}
    for law in candidates.get(len(op.operands), ()) if op.pointwise and set(op.attributes) <= set(op.defaults) else ():
        if law not in op.laws:
            yield f"{law} added", {"laws": (*op.laws, law)}


@of("flops")
def _(op: Op) -> Iterator[Change]:
    flops = op.flops
    if callable(flops):
        yield "doubled", {"flops": lambda node: flops(node) * 2}
        yield "0", {"flops": 0}
    elif flops:
        yield "doubled", {"flops": 2 * flops}
        yield "0", {"flops": 0}
    else:
        yield "1", {"flops": 1}


@of("scratch")
def _(op: Op) -> Iterator[Change]:
    scratch = op.scratch
    if scratch is not None:
        yield "tripled", {"scratch": lambda node: scratch(node) * 3}
        yield "dropped", {"scratch": None}


@of("bounds")
def _(op: Op) -> Iterator[Change]:
    bounds = op.bounds
    if bounds is not None:
        yield "one further", {"bounds": lambda node: [(index, size + 1) for index, size in bounds(node)]}
        yield "one less", {"bounds": lambda node: [(index, size - 1) for index, size in bounds(node)]}
        yield "dropped", {"bounds": None}


_END = "(?![a-zA-Z0-9_])"


def _of_formula(field: str) -> Callable[[Op], Iterator[Change]]:
    def changes(op: Op) -> Iterator[Change]:
        template: str = getattr(op, field)
        for name in op.operands:
            if f"${name}" in template:
                yield f"{name} dropped", {field: re.sub(rf"\${name}{_END}", "", template)}
        if len(op.operands) > 1:
            a, b = op.operands[:2]
            exchanged = re.sub(rf"\$({a}|{b}){_END}", lambda hole: f"${b if hole.group(1) == a else a}", template)
            if "commutative" not in op.laws:
                yield f"{a} and {b} exchanged", {field: exchanged}
        yield "another symbol", {field: _another_symbol(template)}

    return changes


def _another_symbol(template: str) -> str:
    """The first word or sign that is no operand, changed."""
    word = re.search(r"(?<![$\w])[a-zA-Zα-ωΑ-Ω]{2,}", template)
    if word:
        return template[: word.start()] + word.group()[::-1] + "q" + template[word.end() :]
    signs = {"+": "-", "-": "+", "⊙": "/", "/": "+", "²": "³", "√": "-", "^": "+", "==": "!=", "<": ">", ">": "<", "·": "+"}
    for sign, other in signs.items():
        if sign in template:
            return template.replace(sign, other, 1)
    return f"q({template})"


of("text")(_of_formula("text"))
of("tex")(_of_formula("tex"))


@of("binds")
def _(op: Op) -> Iterator[Change]:
    for level in (op.binds - 1, op.binds + 1):
        if 0 <= level <= 4:
            yield f"{level}", {"binds": level}


@of("sympy")
def _(op: Op) -> Iterator[Change]:
    if op.sympy:
        yield "nudged", {"sympy": f"({op.sympy}) * Rational(101, 100)"}
        yield "dropped", {"sympy": None}


@of("cases")
def _(op: Op) -> Iterator[Change]:
    if op.cases:
        yield "dropped", {"cases": ()}


@of("ulps")
def _(op: Op) -> Iterator[Change]:
    yield "divided by 1000", {"ulps": op.ulps / 1000}
    yield "multiplied by 1000", {"ulps": op.ulps * 1000}


@of("group")
def _(op: Op) -> Iterator[Change]:
    yield "another", {"group": "elsewhere"}


@of("zero_gradient")
def _(op: Op) -> Iterator[Change]:
    if op.zero_gradient:
        yield "dropped", {"zero_gradient": ""}
    else:
        yield "made up", {"zero_gradient": "it is flat"}


def _outcome(rule: Any, change: Callable[[Any], Any]) -> Any:
    @functools.wraps(rule)
    def other(*values: Any, **attributes: Any) -> Any:
        return change(rule(*values, **attributes))

    return other


@of("reverse")
def _(op: Op) -> Iterator[Change]:
    if op.reverse is None:
        return
    changes = {"negated": lambda share: -share, "doubled": lambda share: 2 * share, "None": lambda share: None}
    places = (0, -1) if op.variadic else range(len(op.operands))
    for i, (name, change) in itertools.product(places, changes.items()):
        yield f"share {i} {name}", {"reverse": _outcome(op.reverse, functools.partial(_one_share, i, change))}
    yield "dropped", {"reverse": None}


def _one_share(place: int, change: Callable[[Any], Any], shares: Any) -> Any:
    found = list(shares)
    if found[place] is not None:
        REACHED.add("reverse")
        found[place] = change(found[place])
    return tuple(found)


def _of_rule(field: str) -> Callable[[Op], Iterator[Change]]:
    def changes(op: Op) -> Iterator[Change]:
        rule = getattr(op, field)
        if rule is not None:
            for i in _results(op):
                yield f"result {i} nudged", {field: _outcome(rule, functools.partial(_nudged, index=i))}
            yield "dropped", {field: None}

    return changes


for _field in ("forward", "batch", "expand"):
    of(_field)(_of_rule(_field))


@of("prune")
def _(op: Op) -> Iterator[Change]:
    if op.prune:
        yield "dropped", {"prune": None}
        yield "places exchanged", {"prune": _outcome(op.prune, lambda found: found and (found[0], found[1][::-1]))}


@of("defaults")
def _(op: Op) -> Iterator[Change]:
    for name, value in op.defaults.items():
        for other in _other_values(value):
            yield f"{name}={other!r}", {"defaults": op.defaults | {name: other}}
        yield f"{name} dropped", {"defaults": {n: v for n, v in op.defaults.items() if n != name}}


def _other_values(value: Any) -> list[Any]:
    if isinstance(value, bool):
        return [not value]
    if isinstance(value, int | float):
        return [value + 1]
    if isinstance(value, str):
        return [{"float32": "float64", "uint32": "uint64"}.get(value, value + "x")]
    return [0] if value is None else []


@of("canonical")
def _(op: Op) -> Iterator[Change]:
    for name, canonical in op.canonical.items():
        if canonical.__name__ != "_as_is":
            yield f"{name} as it is given", {"canonical": op.canonical | {name: lambda value, types: value}}


@of("rule")
def _(op: Op) -> Iterator[Change]:
    for i in _results(op):
        yield f"result {i} of another dtype", {"rule": _outcome(op.rule, functools.partial(_other_type, i, _other_dtype))}
        yield f"result {i} an axis more", {"rule": _outcome(op.rule, functools.partial(_other_type, i, _axis_more))}


def _other_type(place: int, change: Callable[[TensorType], TensorType], found: Any) -> Any:
    if isinstance(found, TensorType):
        return change(found)
    types = list(found)
    types[place] = change(types[place])
    return tuple(types)


def _other_dtype(type: TensorType) -> TensorType:
    return type.with_dtype("float32" if type.dtype == "float64" else "float64" if dtypes.is_float(type.dtype) else "int16")


def _axis_more(type: TensorType) -> TensorType:
    return type.with_shape((*type.shape, 1))


# ---------------------------------------------------------------- the tests of an op
class _Alone(dict[str, Op]):
    """The table as a module of tests sees it: every op can be looked up, one is gone through."""

    def __init__(self, op: Op) -> None:
        super().__init__(OPS)
        self.op = op

    def values(self) -> Any:
        return [self.op]


@dataclass(frozen=True)
class Check:
    """A test function and the parameters that it is called with."""

    name: str
    jax: bool
    call: Callable[[], None]

    def failure(self) -> str:
        """How it fails, or nothing."""
        try:
            self.call()
        except Exception as error:
            return f"{type(error).__name__}: {str(error).strip()[:160]}".replace("\n", " ")
        except BaseException as outcome:  # pytest's own: a skip is a pass, pytest.fail is none
            return "" if type(outcome).__name__ == "Skipped" else type(outcome).__name__
        return ""


def _module(op: Op) -> ModuleType:
    """The table tests, imported as if the table had this op alone, so that their parameters are those of its present record."""
    module = ModuleType(TABLE_TESTS.stem)
    module.__file__ = str(TABLE_TESTS)
    table, core.OPS = core.OPS, _Alone(op)
    try:
        exec(_code(), vars(module))
    finally:
        core.OPS = table
    return module


@functools.cache
def _code() -> Any:
    return compile(TABLE_TESTS.read_text(encoding="utf-8"), str(TABLE_TESTS), "exec")


def checks(op: Op) -> list[Check]:
    """Every call of a table test for this op, as the tests' marks say."""
    found: list[Check] = []
    module = _module(op)
    for name, function in vars(module).items():
        marks = [mark for mark in getattr(function, "pytestmark", []) if mark.name == "parametrize"]
        if name.startswith("test_") and marks:
            uses_jax = "'jax'" in str(function.__code__.co_consts)
            found += [Check(name, uses_jax, functools.partial(function, **given)) for given in _parameters(marks, op)]
    return found


def _parameters(marks: list[Any], op: Op) -> Iterator[dict[str, Any]]:
    """The keyword arguments of each parametrisation that speaks of the op."""
    rows: list[list[dict[str, Any]]] = []
    for mark in marks:
        names = mark.args[0].replace(" ", "").split(",") if isinstance(mark.args[0], str) else list(mark.args[0])
        sets = [item.values if hasattr(item, "marks") else item if len(names) > 1 else (item,) for item in mark.args[1]]
        rows.append([dict(zip(names, values, strict=True)) for values in sets])
    for chosen in itertools.product(*rows):
        given = functools.reduce(lambda a, b: a | b, chosen)
        if any(value is op or (isinstance(value, Call) and value.op is op) for value in given.values()):
            yield given


def page_row(op: Op) -> str:
    """What the page of the ops has of this one."""
    table, reference.table = reference.table, lambda: iter([op])
    try:
        return reference.page()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    finally:
        reference.table = table


# ---------------------------------------------------------------- trials, each in a fork
@dataclass(frozen=True)
class Verdict:
    """What became of a mutant: ``killed`` by a test, ``page`` if the page alone shows it, ``survived``, ``excused`` or ``void``."""

    name: str
    field: str
    fate: str
    by: str = ""
    seconds: float = 0.0


def isolated(work: Callable[[], Any], limit: int = LIMIT) -> Any:
    """The result of the work, done in a fork of this process; a sentence if it came to none."""
    readable, writable = os.pipe()
    sys.stdout.flush()
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.close(readable)
            signal.alarm(limit)
            with os.fdopen(writable, "wb") as pipe:
                pickle.dump(work(), pipe)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writable)
    with os.fdopen(readable, "rb") as pipe:
        text = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status == 0:
        return pickle.loads(text)
    return f"it took over {limit} s" if os.WTERMSIG(status) == signal.SIGALRM else f"it died with status {status}"


def unmutated(op: Op) -> tuple[str, dict[str, float], str]:
    """The first failure of the op as it is, the seconds of each test, and its row of the page."""
    seconds: Counter[str] = Counter()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for check in checks(op):
            start = time.perf_counter()
            failure = check.failure()
            seconds[check.name] += time.perf_counter() - start
            if failure:
                return f"{check.name}: {failure}", dict(seconds), ""
    return "", dict(seconds), page_row(op)


def trial(mutant: Mutant, seconds: dict[str, float], row: str) -> Verdict:
    """Apply the mutant for good, and run the op's tests until one fails."""
    start = time.perf_counter()

    def verdict(fate: str, by: str = "") -> Verdict:
        return Verdict(str(mutant), mutant.field, fate, by, time.perf_counter() - start)

    if mutant.field != "canonical":
        mutant.op.__dict__.pop("canonical", None)
    mutant.op._types.clear()
    mutant.apply()
    first = mutant.field in ("jax", "jax_helper")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            found = checks(mutant.op)
        except Exception as error:
            return verdict("killed", f"the tests cannot be collected: {type(error).__name__}: {error}")
        found = [check for check in found if not (check.jax and mutant.field in UNSEEN_BY_JAX)]
        for check in sorted(found, key=lambda check: (check.jax is not first, seconds.get(check.name, 0.0))):
            failure = check.failure()
            if failure:
                return verdict("killed", f"{check.name}: {failure}")
    if page_row(mutant.op) != row:
        return verdict("page")
    if mutant.field == "reverse" and not REACHED and "share" in mutant.change:
        return verdict("void")
    return verdict("excused" if str(mutant) in EQUIVALENT else "survived", EQUIVALENT.get(str(mutant), ""))


_SEVERAL: set[str] = set()


def _has_several(op: Op) -> bool:
    call = calls(op)[0]
    made = call.operands(call.inputs())
    result = op(made, **call.case.attributes) if op.variadic else op(*made, **call.case.attributes)
    return not isinstance(result, Tensor)


def try_op(name: str, only: tuple[str, ...], sample: float, seed: int) -> tuple[str, str, list[Verdict]]:
    """The verdicts on an op's mutants; or why it has none."""
    op = OPS[name]
    outcome = isolated(lambda: (*unmutated(op), _has_several(op)), 3 * LIMIT)
    if isinstance(outcome, str) or outcome[0]:
        return name, outcome if isinstance(outcome, str) else outcome[0], []
    _, seconds, row, several = outcome
    if several:
        _SEVERAL.add(name)
    rng = random.Random(f"{seed} {name}")
    verdicts: list[Verdict] = []
    for mutant in mutants(op):
        if (only and mutant.field not in only) or rng.random() >= sample:
            continue
        verdict = isolated(functools.partial(trial, mutant, seconds, row))
        verdicts.append(verdict if isinstance(verdict, Verdict) else Verdict(str(mutant), mutant.field, "killed", verdict))
    return name, "", verdicts


# ---------------------------------------------------------------- the report
def _report(verdicts: list[Verdict], untestable: dict[str, str], ops: int, seconds: float) -> str:
    counted = [verdict for verdict in verdicts if verdict.fate != "void"]
    lines = [f"{'field':<14}{'mutants':>9}{'by a test':>11}{'by the page':>13}{'excused':>9}{'survived':>10}"]
    for field in [*MUTATIONS, "all"]:
        fates = Counter(verdict.fate for verdict in counted if field in (verdict.field, "all"))
        if fates:
            lines.append(
                f"{field:<14}{fates.total():>9}{fates['killed']:>11}{fates['page']:>13}{fates['excused']:>9}{fates['survived']:>10}"
            )
    survivors = [verdict.name for verdict in counted if verdict.fate == "survived"]
    lines += ["", f"{len(survivors)} survivors" + (":" if survivors else ""), *[f"  {name}" for name in survivors]]
    lines += [f"not testable, fails unmutated: {name}: {why}" for name, why in untestable.items()]
    lines += ["", f"{len(counted)} mutants of {ops} ops in {seconds:.0f} s"]
    return "\n".join(lines)


def _names(text: str) -> tuple[str, ...]:
    return tuple([name for name in text.split(",") if name])


def main() -> int:
    """Run the mutation test; 1 if a mutant survived or an op could not be tested."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ops", type=_names, default=(), metavar="A,B", help="these ops alone")
    parser.add_argument("--fields", type=_names, default=(), metavar="X,Y", help=f"these fields alone, of {', '.join(MUTATIONS)}")
    parser.add_argument("--jobs", type=int, default=2, help="processes; 2 by default")
    parser.add_argument("--sample", type=float, default=1.0, metavar="SHARE", help="this share of the mutants, drawn by chance")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--verbose", action="store_true", help="tell what killed each mutant, and how long it took")
    arguments = parser.parse_args()
    missing = {*Op.__annotations__} - set(MUTATIONS) - IDENTITY
    if missing:
        parser.error(f"fields of the record without a mutant: {', '.join(sorted(missing))}")
    unknown = [*set(arguments.ops) - set(OPS), *set(arguments.fields) - set(MUTATIONS)]
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}")

    excused = _excused()
    names = [op.name for op in OPS.values() if op.name not in excused and op.group != "internal" and op.name in (arguments.ops or OPS)]
    warnings.filterwarnings("ignore", message=".*fork", category=RuntimeWarning)
    verdicts: list[Verdict] = []
    untestable: dict[str, str] = {}
    start = time.perf_counter()
    work = functools.partial(try_op, only=arguments.fields, sample=arguments.sample, seed=arguments.seed)
    with multiprocessing.get_context("fork").Pool(arguments.jobs) as pool:
        for name, why, found in pool.imap_unordered(work, names):
            if why:
                untestable[name] = why
            verdicts += found
            if arguments.verbose:
                print(f"{name}: {why or len(found)}")
                for v in found:
                    print(f"  {v.fate:<9}{v.name}  {v.seconds:.1f} s  {v.by}")
            elif sys.stderr.isatty():
                print(f"\r{len(verdicts)} mutants", end="", file=sys.stderr)
    verdicts.sort(key=lambda verdict: (list(MUTATIONS).index(verdict.field), verdict.name))
    print(_report(verdicts, untestable, len(names), time.perf_counter() - start))
    return int(bool(untestable) or any(verdict.fate == "survived" for verdict in verdicts))


def _excused() -> set[str]:
    return set(_module(OPS["add"]).EXCUSED)


if __name__ == "__main__":
    sys.exit(main())
