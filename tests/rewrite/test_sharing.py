"""Exponentials in common: fewer of them, and values that are right over the whole range."""

import numpy as np
import pytest

import graphc as gc
import graphc.ops as o
from graphc.core import input, toposort
from graphc.lower import expand, interpret
from graphc.ops.pointwise import by_vectors, sigmoid_slope
from graphc.rewrite import DEFAULT, RuleSet, simplify
from graphc.rewrite.sharing import masks_by_results, share_exponentials

SPECIAL = [0.0, -0.0, 1e-30, -1e-30, 1.0, -1.0, 20.0, -20.0, 90.0, -90.0, 120.0, -120.0, np.inf, -np.inf, np.nan]
RANGE = np.concatenate([np.linspace(-80, 80, 4001), SPECIAL])


def ops_of(roots):
    return [node.op.name for node in toposort(roots) if node.op is not None]


def units(found, exact):
    """Errors in units in the last place, where float32 holds the exact value at full precision; NaN, inf and 0 have to agree."""
    kept = np.isfinite(exact) & (np.abs(exact) > np.finfo("float32").tiny)
    assert np.array_equal(np.isnan(found), np.isnan(exact))
    return np.max(np.abs(found[kept] - exact[kept]) / np.spacing(np.abs(exact[kept]).astype("float32")))


def stable_loss(x):
    """What has ``sigmoid(-|x|)`` in its gradient, and sigmoids and slopes beside it."""
    e = o.exp(-o.abs(x))
    half = gc.grad(o.sum(o.log1p(e)), [x])[0]
    return [half, o.sigmoid(x), o.sigmoid(-x), sigmoid_slope(x), sigmoid_slope(-x), o.log1p(e)]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_one_exponential_serves_sigmoids_and_slopes_of_both_signs(dtype):
    x = input("x", RANGE.shape, dtype)
    plain = simplify(stable_loss(x)).roots
    shared = share_exponentials(plain)
    assert [root.type for root in shared] == [root.type for root in plain]
    made = simplify(expand(shared, "numpy"), DEFAULT.without("stable")).roots
    assert ops_of(made).count("exp") == 1
    assert not {"expm1", "cosh"} & {*ops_of(made)}
    values = RANGE.astype(dtype)
    wide = input("x", RANGE.shape, "float64")
    exact = interpret(stable_loss(wide), {wide: values.astype("float64")})
    found = gc.compile([x], shared)(values)
    for one, other, name in zip(found, exact, ("gradient", "sigmoid", "sigmoid of -x", "slope", "slope of -x", "log1p"), strict=True):
        assert np.array_equal(np.isnan(one), np.isnan(other)), name
        assert np.array_equal(np.isinf(one), np.isinf(other)), name
        if dtype == "float32":
            assert units(one.astype("float64"), other) <= 6, name
    assert not found[0][values == 0].any()  # the kink's own value


def test_nothing_is_shared_that_is_not_there():
    x, y = input("x", (3,), "float32"), input("y", (3,), "float32")
    for roots in ([o.sigmoid(x), sigmoid_slope(x)], [o.sigmoid(-o.abs(y)), o.sigmoid(x)], [x + y], [o.exp(x)]):
        assert share_exponentials(roots) == roots


def test_what_is_shared_may_hold_what_is_shared():
    x = input("x", (4,), "float64")
    inner = o.sigmoid(x) * o.sigmoid(-o.abs(x))
    roots = [(o.sigmoid(inner) + sigmoid_slope(inner) * o.sigmoid(-o.abs(inner))).named("out"), inner]
    shared = share_exponentials(roots)
    assert shared[0].label == "out"
    value = {x: np.array([-2.0, 0.0, 0.5, 30.0])}
    for one, other in zip(interpret(shared, value), interpret(roots, value), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("build", [lambda u: o.exp(-o.square(u)), lambda u: o.exp(-0.5 * o.square(u)), lambda u: o.exp((u - 1) * 2.5)])
@pytest.mark.skipif(not by_vectors("exp2", "float32"), reason="NumPy has no vector loop for exp2 on this processor")
def test_exp_of_a_scaled_result_is_a_power_of_two(build):
    """The rounding of the operand counts, as it does for ``exp``: a unit of the result for each unit of the exponent at most."""
    x = input("x", RANGE.shape, "float32")
    plain = simplify([build(x)]).roots
    shared = share_exponentials(plain)
    assert "exp" not in ops_of(shared)
    values = RANGE.astype("float32")
    wide = input("x", RANGE.shape, "float64")
    (exact,) = interpret([build(wide)], {wide: values.astype("float64")})
    for root, most in ((plain, 1.5), (shared, 3.0)):
        with np.errstate(all="ignore"):
            found = gc.compile([x], root, optimize=False)(values)[0].astype("float64")
            off = np.abs(found / exact - 1) / np.finfo("float32").eps
        kept = np.isfinite(exact) & (exact > 1e-37) & (exact < 1e37)
        assert np.array_equal(np.isnan(found), np.isnan(exact))
        assert np.all(off[kept] <= 4 + most * np.abs(np.log(exact[kept])))


def test_exp_of_an_exact_operand_stays():
    x = input("x", (3,), "float32")
    for root in (o.exp(-x), o.exp(-o.abs(x)), o.exp(2 * x)):
        assert share_exponentials([root]) == [root]
    wide = input("x", (3,), "float64")
    root = o.exp(-o.square(wide))
    assert share_exponentials([root]) == [root]


def test_masks_are_those_of_results_and_hold_for_every_number() -> None:
    x = input("x", (len(SPECIAL),), "float64")
    y = o.relu(x)
    roots = [y, *gc.grad(o.sum(o.square(y)), [x])]
    shared = simplify(roots, RuleSet(), first=masks_by_results(roots)).roots
    assert [node.inputs[0].op for node in toposort(shared) if node.op is o.greater] == [o.relu]
    values = {x: np.array(SPECIAL)}
    for found, exact in zip(interpret(shared, values), interpret(roots, values), strict=True):
        np.testing.assert_array_equal(found, exact)
    assert masks_by_results([o.sum(x), o.greater(x, 0)]) == []
