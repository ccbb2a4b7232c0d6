"""The engine: chains, cycles, types, origins, matching, folding."""

import time

import numpy as np
import pytest

import graphc.ops as o
from graphc.core import Constant, constant, derived_from, dtypes, input, variable
from graphc.core.errors import ArgumentError, RewriteError
from graphc.core.pattern import attr, const, var
from graphc.lower import interpret
from graphc.rewrite import ALL, DEFAULT, PHASES, RuleSet, matches, rule, simplify
from graphc.rewrite.match import is_literal

x, y = var("x"), var("y")


def leaf(*shape, dtype="float32", name="v"):
    return input(name, shape, dtype)


def one(root, rules=DEFAULT):
    return simplify([root], rules).roots[0]


# ---------------------------------------------------------------- size
@pytest.mark.parametrize(
    ("step", "count"),
    [
        pytest.param(o.tanh, 100_000, id="nothing fires"),
        pytest.param(lambda v: v + leaf(3), 100_000, id="an operand each"),
        pytest.param(lambda v: o.negative(o.negative(v)), 50_000, id="all of it goes"),
        pytest.param(lambda v: (-v) * 3 + 0, 10_000, id="rules fire at each node"),
    ],
)
def test_long_chains(step, count):
    v = leaf(3)
    for _ in range(count):
        v = step(v)
    start = time.perf_counter()
    result = simplify([v])
    assert result.roots[0].type is v.type
    assert time.perf_counter() - start < 60


def test_time_is_linear_where_no_rule_fires():
    def seconds(count):
        v = leaf(3)
        for _ in range(count):
            v = o.tanh(v)
        best = []
        for _ in range(3):
            start = time.perf_counter()
            simplify([v])
            best.append(time.perf_counter() - start)
        return min(best)

    assert seconds(40_000) < 12 * seconds(10_000)


def test_shared_nodes_are_visited_once():
    v = leaf(3)
    for _ in range(200):
        v = o.tanh(v) + o.exp(v)  # 2**200 paths
    assert one(v) is v


# ---------------------------------------------------------------- fixpoint
def test_the_result_of_a_rule_is_simplified_too():
    v = leaf(3)
    result = simplify([o.log(o.exp(o.negative(o.negative(v))) + 1)])
    assert result.roots[0] is o.softplus(v)
    assert list(result.counts) == ["negative_twice", "log_one_plus", "log_one_plus_exp"]
    assert [a.before.type for a in result.applied] == [a.after.type for a in result.applied]


def test_simplifying_again_changes_nothing():
    v, w = leaf("n", 3), leaf(3)
    root = one(o.sum((-v) * (w / 4) * o.reciprocal(w) + 0, axis=0))
    assert one(root) is root


def test_roots_keep_their_order_and_leaves_are_never_touched():
    v, state, c = leaf(3), variable(np.ones(3, "float32"), "w"), constant([1.0, 1.0, 1.0], "float32")
    assert simplify([v, state, c, v * 1]).roots == [v, state, c, v]


@rule(o.tanh(x), safety="rounding")
def to_sin(x):
    """One way."""
    return o.sin(x)


@rule(o.sin(x), safety="rounding")
def to_tanh(x):
    """And back."""
    return o.tanh(x)


@rule(o.exp(x), safety="rounding")
def feeds_itself(x):
    """A graph that grows for ever."""
    return o.exp(x + 1)


@rule(o.exp(x), safety="rounding")
def wraps_itself(x):
    """A graph that grows around the node."""
    return o.exp(x) * 1


def test_rules_that_chase_each_other_are_named():
    with pytest.raises(RewriteError, match=r"the rules (to_sin and to_tanh|to_tanh and to_sin) chase each other") as caught:
        simplify([o.exp(o.tanh(leaf(3)))], RuleSet([to_sin, to_tanh]))
    assert caught.value.given
    assert "fits" in str(caught.value)


@pytest.mark.parametrize("name", ["feeds_itself", "wraps_itself"])
def test_a_rule_that_feeds_itself_is_named(name):
    with pytest.raises(RewriteError, match=f"the rule {name} feeds itself"):
        simplify([o.exp(leaf(3))], RuleSet([globals()[name]]))


def test_the_budget_counts_all_rewrites_too():
    @rule(o.exp(x), safety="rounding")
    def doubles(x):
        """A graph that doubles."""
        return o.exp(x + 1) + o.exp(x + 2)

    with pytest.raises(RewriteError, match="doubles"):
        simplify([o.exp(leaf(3))], RuleSet([doubles]))


def test_signs_cancel_and_do_not_move_to_where_they_cost_more():
    small, big = leaf(3), leaf("n", 3)
    assert one((-small) * (-big)) is one(small * big)
    root = (-small) * big
    assert one(root) is root
    assert one((-big) * small) is -(big * small)


# ---------------------------------------------------------------- order and readers
def test_operands_of_commutative_ops_have_one_order():
    v, w = leaf(3), leaf(3)
    first, second = o.exp(v * w), o.tanh(w * v)
    left, right = simplify([first, second]).roots
    assert left is first
    assert right is o.tanh(v * w)
    assert one((v - w) * (w - v)) is (v - w) * (w - v)


def test_what_others_read_is_not_taken_apart():
    v, w, u = leaf(3), leaf(3), leaf(3)
    alone = v * w + v * u
    assert one(alone) is v * (w + u)
    assert simplify([alone, v * w]).roots[0] is alone


def test_candidates_follow_from_the_ops_of_the_operands():
    v = leaf(3)
    rules = RuleSet([ALL["log_one_plus"], ALL["add_negative"], ALL["fold_constants"]])
    assert [r.name for r in rules.candidates(v + (-v))] == ["add_negative"]
    assert not rules.candidates(v + o.exp(v))
    assert [r.name for r in rules.candidates(o.log(v + 1))] == ["log_one_plus"]
    assert [r.name for r in rules.candidates(o.exp(constant(1.0)))] == ["fold_constants"]


# ---------------------------------------------------------------- types and origins
def test_another_dtype_is_refused():
    @rule(o.exp(x), safety="rounding")
    def widens(x):
        """It forgets the dtype."""
        return o.exp(o.cast(x, dtype="float64"))

    with pytest.raises(RewriteError, match=r"the rule widens made f64\[3\] of f32\[3\]"):
        simplify([o.exp(leaf(3))], RuleSet([widens]))


def test_another_shape_is_refused():
    @rule(o.exp(x), safety="rounding")
    def grows(x):
        """It forgets the shape."""
        return o.broadcast_to(x, (2, 3))

    with pytest.raises(RewriteError, match="grows"):
        simplify([o.exp(leaf(3))], RuleSet([grows]))


@pytest.mark.parametrize("shape", [(2, 3), ("n", 3), (0, 3)])
def test_a_smaller_shape_is_broadcast(shape):
    v = leaf(3)
    assert one(v + o.zeros(shape)) is o.broadcast_to(v, shape)


def test_new_nodes_carry_the_line_and_the_label_of_the_old():
    v = leaf(3)
    forward = o.tanh(v)
    with derived_from(forward, gradient=True):
        old = o.exp(o.log(v + 1)).named("y")
    new = one(old)
    assert new.inputs[0].op is o.log1p
    assert new.forward is new.inputs[0].forward is forward
    assert new.origin == new.inputs[0].origin == old.origin
    assert new.label == "y"


def test_a_node_that_was_there_keeps_its_name():
    v = o.tanh(leaf(3))
    kept = one((v + 0).named("y"))
    assert kept is v
    assert kept.label is None


# ---------------------------------------------------------------- declaration
def test_parameters_have_to_be_the_names_of_the_pattern():
    with pytest.raises(TypeError, match=r"wrong takes \(x, z\).*names \(x, y\)"):

        @rule(x + y, safety="exact")
        def wrong(x, z):
            """It takes what is not there."""


def test_a_safety_class_and_a_sentence_are_needed():
    with pytest.raises(ArgumentError, match="safety 'fast'"):
        rule(o.exp(x), safety="fast")(lambda x: x)
    with pytest.raises(ArgumentError, match="says nothing"):
        rule(o.exp(x), safety="exact")(lambda x: x)


def test_sets_add_print_and_choose():
    both = RuleSet([to_sin]) + RuleSet([to_tanh]) + to_sin
    assert [one.name for one in both] == ["to_sin", "to_tanh"]
    assert str(both) == "to_sin   rounding    One way.\nto_tanh  rounding    And back."
    assert [one.name for one in both - ["to_sin"]] == ["to_tanh"]
    assert both["to_tanh"] is to_tanh
    with pytest.raises(ArgumentError, match="no rule 'to_cos'"):
        both["to_cos"]
    assert not both.within("exact")
    assert len({one.name for one in ALL}) == len(ALL)


# ---------------------------------------------------------------- matching
def test_one_name_is_one_node():
    v, w = leaf(3), leaf(3)
    assert matches(x * x, v * v)[0]["x"] is v
    assert not list(matches(x * x, v * w))
    assert list(matches(o.where(x, y, y), o.where(v > 0, v, v))) == [{"x": v > 0, "y": v}]


def test_commutative_operands_match_both_ways():
    v, w = leaf(3), leaf(3)
    for root in (v + o.exp(w), o.exp(w) + v):
        assert list(matches(x + o.exp(y), root)) == [{"x": v, "y": w}]
    assert not list(matches(x - o.exp(y), o.exp(v) - w))


def test_the_second_order_is_tried_when_the_rest_fails():
    v, w = leaf(3), leaf(3)
    assert list(matches((x + y) / x, (w + v) / v)) == [{"x": v, "y": w}]


@pytest.mark.parametrize(("value", "fits"), [([1, 1, 1], True), (1, True), ([1, 1, 2], False), ([], False), (np.nan, False)])
def test_literals_match_uniform_constants(value, fits):
    node = constant(value, "float32")
    v = leaf(*node.shape)
    assert bool(list(matches(x * 1, v * node))) is fits


def test_literals_match_through_a_broadcast():
    v = leaf(2, 3)
    assert list(matches(x * 1, v * o.ones((2, 3)))) == [{"x": v}]
    assert list(matches(x * 1, v * o.ones((2, 3)))) == list(matches(1 * x, v * o.ones((2, 3))))


def test_zero_has_a_sign():
    v = leaf(2)
    assert one(v - 0.0) is v
    for zero in (-0.0, [0.0, -0.0]):
        root = v - constant(zero, "float32")
        assert one(root) is root


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64", "int32", "bool", "complex64"])
@pytest.mark.parametrize("shape", [(), (1,), (2, 3)])
def test_a_zero_is_a_literal_with_its_sign_in_every_dtype(dtype, shape):
    zeros, minus = o.zeros(shape, dtype), constant(np.full(shape, -0.0), dtype)
    signed = dtypes.is_inexact(dtype)
    assert is_literal(zeros, 0.0)
    assert not is_literal(zeros, -0.0)
    assert not is_literal(zeros, 1)
    assert is_literal(minus, 0) is not signed
    assert is_literal(minus, -0.0) is (signed and dtype != "complex64")  # a complex zero has two signs


def test_const_matches_constants_alone():
    c, v = const("c"), leaf(3)
    assert matches(c * x, v * 2)[0]["x"] is v
    assert not list(matches(c * x, v * leaf(3)))


def test_attributes_are_captured_compared_or_ignored():
    v = leaf(2, 3)
    root = o.sum(v, axis=1)
    assert list(matches(o.sum(x, axis=attr("axis")), root)) == [{"x": v, "axis": (1,)}]
    assert not list(matches(o.sum(x, keepdims=True), root))
    assert list(matches(o.sum(x), root)) == [{"x": v}]
    twice = o.sum(x, axis=attr("k"), keepdims=attr("k"))
    assert not list(matches(twice, root))


# ---------------------------------------------------------------- folding
def test_what_is_constant_is_computed():
    folded = one(o.sum(o.exp(constant([0.0, 1.0], "float32"))) * 2)
    assert isinstance(folded, Constant)
    assert folded.dtype == "float32"
    np.testing.assert_allclose(folded.value, 2 * (1 + np.e), rtol=1e-6)


@pytest.mark.parametrize(
    "root",
    [
        o.exp(constant(1000.0, "float32")),
        constant([0.0, 1.0], "float32") / constant([0.0, 1.0], "float32"),
        o.broadcast_to(constant(1.0, "float32"), (2, 2)),
        o.broadcast_to(constant(1.0, "float32"), ("n",)),
        o.take(constant([1.0, 2.0], "float32"), constant(7, "int32")),
        o.one_hot(constant(np.zeros(100), "int32"), num_classes=100),
        o.shape.count(size=3, dtype="float32"),
    ],
    ids=["overflow", "NaN", "a broadcast", "a broadcast to a named size", "out of bounds", "big", "no inputs"],
)
def test_what_is_not_folded(root):
    assert one(root) is root


def test_a_big_result_that_is_no_bigger_than_its_parts_is_folded():
    assert isinstance(one(constant(np.ones(10_000, "float32")) + 1), Constant)


def test_inf_that_was_there_is_folded():
    assert one(-constant(np.inf, "float32")).value == -np.inf


# ---------------------------------------------------------------- values of whole programs
def test_random_programs_keep_their_values():
    unary = [o.negative, o.exp, o.log, o.tanh, o.abs, o.square, o.relu, o.reciprocal, o.sqrt]
    unary += [lambda v: v + 1, lambda v: 1 - v, lambda v: v * 2, lambda v: v / 4, lambda v: v.T, lambda v: v**2]
    unary += [lambda v: o.sum(v, axis=0), lambda v: o.broadcast_to(v, (2, *v.shape)) if v.ndim < 3 else v, lambda v: o.reshape(v, (-1,))]
    binary = [o.add, o.subtract, o.multiply, o.divide, o.maximum, lambda a, b: o.where(a > b, a, b)]
    for seed in range(60):
        rng = np.random.default_rng(seed)
        v = leaf(2, 3, dtype="float64")
        pool = [v]
        for _ in range(25):
            a = pool[rng.integers(len(pool))]
            if rng.random() < 0.6 or not (same := [b for b in pool if b.shape == a.shape]):
                pool.append(unary[rng.integers(len(unary))](a) if a.ndim else -a)
            else:
                pool.append(binary[rng.integers(len(binary))](a, same[rng.integers(len(same))]))
        result = simplify(pool)
        value = {v: rng.uniform(0.1, 1, (2, 3))}
        for plain, fast, old, new in zip(interpret(pool, value), interpret(result.roots, value), pool, result.roots, strict=True):
            assert old.type is new.type
            calm = np.isfinite(plain) & (np.abs(plain) < 1e6)
            np.testing.assert_allclose(fast[calm], plain[calm], rtol=1e-6, atol=1e-6)


# ---------------------------------------------------------------- once more
def _counting(pattern, replace):
    tried = []

    @rule(pattern, safety="rounding", name="counted")
    def counted(node, once, x):
        """Counts how often it is tried."""
        tried.append(node)
        return replace(node, once, x)

    return RuleSet([counted]), tried


def test_what_a_run_settled_the_next_one_does_not_try_again():
    rules, tried = _counting(o.tanh(x), lambda node, once, x: None)
    v = leaf(3)
    root = o.tanh(o.exp(o.tanh(v)))
    first = simplify([root], rules)
    assert len(tried) == 2
    assert simplify(first.roots, rules, known=first.known).roots == [root]
    assert len(tried) == 2
    new = o.tanh(root)
    simplify([new], rules, known=first.known)
    assert tried[2:] == [new]


def test_what_declined_for_its_readers_is_tried_when_they_are_fewer():
    rules, tried = _counting(o.tanh(x), lambda node, once, x: o.sin(x) if once(x) else None)
    v = o.exp(leaf(3))
    root = o.tanh(v)
    first = simplify([root, v], rules)
    assert first.roots == [root, v]
    assert simplify([root, v], rules, known=first.known).roots == [root, v]
    assert len(tried) == 1
    assert simplify([root], rules, known=first.known).roots == [o.sin(v)]


def test_what_other_rules_settled_is_tried():
    rules, tried = _counting(o.tanh(x), lambda node, once, x: None)
    root = o.tanh(leaf(3))
    simplify([root], rules, known=simplify([root]).known)
    assert tried == [root]


def test_every_rule_is_of_one_phase():
    assert list(PHASES) == ["canonicalise", "stabilise", "specialise", "fuse", "spell"]
    named = [one for rules in PHASES.values() for one in rules]
    assert len(named) == len(ALL)
    assert {*named} == {*ALL}
    assert str(PHASES).splitlines()[1].startswith("stabilise")
