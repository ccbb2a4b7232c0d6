"""Checks a rule on every small instance that its pattern (or its ``cases``) gives: that it fires, keeps the type, keeps the
values as its safety class says, and makes the graph no dearer."""

from __future__ import annotations

import itertools
import zlib

import numpy as np

from graphc.core import Constant, input, toposort
from graphc.core.errors import GraphcError
from graphc.core.pattern import Capture, Pattern, Var
from graphc.lower import compute
from graphc.rewrite import ALL, RuleSet, matches, simplify

DTYPES = ("float32", "float64", "int32", "bool")
SHAPES = ([(), ()], [(3,), (3,)], [(2, 3), (2, 3)], [(0, 3), (0, 3)], [(2, 3), (3,)], [(3,), (2, 3)], [(2, 1), (1, 3)], [(0, 3), ()])
ROUNDS = 30


class BrokenRuleError(AssertionError):
    """A rule that does not keep its promise."""


# ---------------------------------------------------------------- instances
def instances(rule):
    """Small graphs with a root that the rule's pattern matches."""
    found = []
    for dtype in DTYPES:
        leaves = _Leaves(dtype)
        found += [case(leaves) for case in rule.cases if dtype.startswith("float")]
        if not rule.cases:
            found += [root for shapes in SHAPES if (root := _from_pattern(rule.pattern, leaves, shapes)) is not None]
    return [root for root in found if matches(rule.pattern, root) and _runs(root)]


def _runs(root):
    """Whether NumPy has the ops for these dtypes: it subtracts no bool."""
    leaves = [node for node in toposort([root]) if node.op is None and not isinstance(node, Constant)]
    try:
        trace(root, {leaf: np.ones(leaf.shape, leaf.dtype) for leaf in leaves})
    except (TypeError, ValueError):
        return False
    return True


class _Leaves:
    """Makes the operands of cases."""

    def __init__(self, dtype):
        self.dtype = dtype

    def __call__(self, *shape, dtype=None):
        return input("x", shape, dtype or self.dtype)


def _from_pattern(pattern, leaves, shapes):
    names = sorted({v.name for v in _variables(pattern)})
    bound = {name: leaves(*shapes[i % 2]) for i, name in enumerate(names)}
    for name in _conditions(pattern):
        bound[name] = leaves(*shapes[names.index(name) % 2], dtype="bool")
    try:
        return _build(pattern, bound)
    except (GraphcError, TypeError):
        return None  # no such call for these shapes or dtypes


def _variables(pattern):
    if isinstance(pattern, Var):
        yield pattern
    elif isinstance(pattern, Pattern):
        for part in pattern.operands:
            yield from _variables(part)


def _conditions(pattern):
    """The names in the first operands of choices."""
    if isinstance(pattern, Pattern) and pattern.op is not None:
        if pattern.op.name == "where":
            yield from (v.name for v in _variables(pattern.operands[0]))
        for part in pattern.operands:
            yield from _conditions(part)


def _build(pattern, bound):
    if isinstance(pattern, Var):
        return bound[pattern.name]
    if not isinstance(pattern, Pattern):
        return pattern
    if any(isinstance(value, Capture) for value in pattern.attributes.values()):
        raise TypeError("attributes come from cases")
    return pattern.op(*[_build(part, bound) for part in pattern.operands], **pattern.attributes)


# ---------------------------------------------------------------- the check
def check_rule(rule, rounds=ROUNDS):
    """Raise BrokenRuleError unless the rule holds on all its instances and fires on one of them at least. Returns how many fired."""
    fired = 0
    for root in instances(rule):
        rules = RuleSet([rule]) if rule.name == "fold_constants" else RuleSet([rule, ALL["fold_constants"]])
        result = simplify([root], rules)
        if not any(one.rule is rule for one in result.applied):
            continue
        fired += 1
        (new,) = result.roots
        _require(new.type is root.type, rule, root, f"the type is {new.type}")
        _require(_cheaper(root, new), rule, root, f"dearer: {_cost(root)} -> {_cost(new)}")
        check_values(rule, root, new, rounds)
    _require(fired, rule, None, "it fires on no instance; declare cases=")
    return fired


def check_values(rule, root, new, rounds=ROUNDS):
    rng = np.random.default_rng(zlib.crc32(rule.name.encode()))
    leaves = [node for node in toposort([root, new]) if node.op is None and not isinstance(node, Constant)]
    local = all(node.op is None or node.op.pointwise for node in toposort([root]))
    compared = False
    for i in range(rounds):
        values = {leaf: (mild if rule.regroups else sample)(leaf, rng, i, local) for leaf in leaves}
        plain, fast = trace(root, values), trace(new, values)
        calm = _where(plain, root, local, _CALM[rule.safety])
        compared = compared or calm.any() or not calm.size
        a, b = np.asarray(plain[root]), np.asarray(fast[new])
        promise = _regrouped if rule.regroups else _PROMISES[rule.safety]
        problem = promise(a, b, calm, _scale(plain, fast, a, local))
        if rule.safety != "nan_unsafe" and not rule.regroups and not problem:
            problem = _hides_nan(a, b, _where({**values, root: a}, root, local, lambda v: ~np.isnan(v)))
        given = "; ".join(f"{leaf!r} = {value!r}" for leaf, value in values.items())
        _require(not problem, rule, root, f"{problem}\n  {given}\n  plain {plain[root]!r}\n  new   {fast[new]!r}")
    _require(compared, rule, root, "no value could be compared")


def _require(holds, rule, root, what):
    if not holds:
        raise BrokenRuleError(f"{rule.name} ({rule.safety}) on {root!r}: {what}")


_PRICES = {"power": 20}
"""What NumPy takes for an element, in products."""


def _cost(root):
    nodes = [node for node in toposort([root]) if node.op is not None]
    flops = sum(node.op.count_flops(node) * _PRICES.get(node.op.name, 1) for node in nodes)
    return flops, len(nodes), sum(node.size for node in nodes)


def _cheaper(root, new):
    (flops, nodes, written), (new_flops, new_nodes, new_written) = _cost(root), _cost(new)
    return 0 in [node.size for node in toposort([root])] or new_flops <= flops or new_nodes < nodes or new_written < written


# ---------------------------------------------------------------- values
def sample(leaf, rng, i, local):
    """Values of a leaf: special ones in some rounds, among them alone in others, and none in the rest."""
    if leaf.dtype == "bool":
        return rng.random(leaf.shape) < 0.5
    if leaf.dtype.startswith(("int", "uint")):
        info = np.iinfo(leaf.dtype)
        return rng.choice(np.array([0, 1, 2, 3, -1 if info.min else 1, info.max, info.min, 7], leaf.dtype), leaf.shape)
    normal = np.asarray(rng.normal(size=leaf.shape), leaf.dtype)
    if i % 3 == 0:
        return normal
    special = np.asarray(rng.choice(specials(leaf.dtype, local), leaf.shape), leaf.dtype)
    return special if i % 3 == 1 else np.asarray(np.where(rng.random(leaf.shape) < 0.3, special, normal), leaf.dtype)


def mild(leaf, rng, i, local):
    """Values whose products neither overflow nor underflow, and in some rounds NaN and inf among them."""
    if not leaf.dtype.startswith("float"):
        return sample(leaf, rng, i, local)
    normal = np.asarray(rng.normal(size=leaf.shape), leaf.dtype)
    special = np.asarray(
        rng.choice([0.0, -0.0, 1.0, -1.0, 0.5, 3.0, 1e-4, 1000.0, *([np.nan, np.inf] if i % 3 == 2 else [])], leaf.shape), leaf.dtype
    )
    return np.asarray(np.where(rng.random(leaf.shape) < 0.3, special, normal), leaf.dtype) if i % 3 else normal


def specials(dtype, local):
    info = np.finfo(dtype)
    # In a sum the order decides which of the largest numbers overflow, so that they are only given to what works by element.
    large = [info.max, -info.max, info.tiny, info.smallest_subnormal, -info.smallest_subnormal * 5] if local else [1e15, -1e15]
    usual = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 1e-10, -1e-10, 30.0, -30.0, 1000.0, -1000.0, 1e30, 3.0]
    return np.array([*usual, *large])


def trace(root, values):
    """The value of every node, each computed by itself, in plain order."""
    known = dict(values)
    for node in toposort([root]):
        if node not in known:
            known[node] = node.value if isinstance(node, Constant) else compute(node, [known[x] for x in node.inputs])
    return known


def _exact(a, b, calm, scale):
    if a.dtype.kind != "f":
        return "" if np.array_equal(a, b) else "other values"
    same = (np.isnan(a) & np.isnan(b)) | ((a == b) & (np.signbit(a) == np.signbit(b)))
    return "" if same.all() else "other bits"


def _rounding(a, b, calm, scale):
    if a.dtype.kind == "f" and not np.array_equal(np.where(np.isfinite(a), 0, a), np.where(np.isfinite(b), 0, b), equal_nan=True):
        return "another pattern of NaN and inf"
    return _close(a, b, scale)


def _regrouped(a, b, calm, scale):
    """Terms in another order: what is finite stays so and is close, what is not stays that, be it NaN or inf."""
    if a.dtype.kind == "f" and not np.array_equal(np.isfinite(a), np.isfinite(b)):
        return "another pattern of what is not finite"
    both = np.isfinite(a) if a.dtype.kind == "f" else np.full(a.shape, True)
    return _close(a[both], b[both], np.broadcast_to(scale, a.shape)[both])


def _overflow(a, b, calm, scale):
    if (np.isnan(b) & ~np.isnan(a)).any():
        return "a NaN that was not there"
    if (np.isinf(b) & np.isfinite(a) & calm).any():
        return "an overflow that was not there"
    return _close(a[calm], b[calm], scale[calm])


def _hides_nan(a, b, clean):
    """A NaN of an operand has to come through as it did; one that an overflow on the way makes may go."""
    return (
        ""
        if np.array_equal(a[~clean] != a[~clean], b[~clean] != b[~clean]) and _close(a[~clean], b[~clean], np.inf) == ""
        else "a NaN is lost"
    )


def _nan_unsafe(a, b, calm, scale):
    return _close(a[calm], b[calm], scale[calm])


_PROMISES = {"exact": _exact, "rounding": _rounding, "overflow": _overflow, "nan_unsafe": _nan_unsafe}
_CALM = {
    "exact": lambda v: np.full(v.shape, True),
    "rounding": lambda v: np.full(v.shape, True),
    "overflow": lambda v: np.isfinite(v) & (np.abs(v) >= np.finfo(v.dtype).tiny),
    "nan_unsafe": lambda v: np.isfinite(v) & (v != 0),
}
"""What a safety class asks of the values on the way, before it promises anything."""


def _where(values, root, local, calm):
    """Where the values on the way are as asked for: element by element if the graph works so, else everywhere or nowhere.

    What only moves elements, or puts them among zeros, says nothing new.
    """
    shape = np.shape(values[root])
    floats = [
        np.asarray(v)
        for node, v in values.items()
        if node.dtype.startswith("float") and not isinstance(node, Constant) and node is not root and not (node.op and node.op.flops == 0)
    ]
    if local:
        return np.logical_and.reduce([np.ones(shape, bool), *[np.broadcast_to(calm(v), shape) for v in floats]])
    return np.full(shape, all(calm(v).all() for v in floats))


def _scale(plain, fast, like, local):
    """The largest finite magnitude on the way: a sum can only be as good as what it is a sum of."""
    sizes = [
        np.where(np.isfinite(v), np.abs(v), 0)
        for v in map(np.asarray, itertools.chain(plain.values(), fast.values()))
        if v.dtype.kind == "f"
    ]
    if local:
        return np.maximum.reduce([np.broadcast_to(s, like.shape) for s in sizes]) if sizes else np.zeros(like.shape)
    return np.full(like.shape, max((s.max() for s in sizes if s.size), default=0))


def _close(a, b, scale):
    if a.dtype.kind != "f":
        return "" if np.array_equal(a, b) else "other values"
    info = np.finfo(a.dtype)
    finite = np.isfinite(a)
    scale = np.broadcast_to(scale, a.shape)[finite].astype("longdouble")
    off = np.abs(b[finite].astype("longdouble") - a[finite]) > 8 * (info.eps * scale + info.smallest_subnormal)
    return "values that are more than a few ulp off" if off.any() else ""
