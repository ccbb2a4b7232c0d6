"""Equality saturation: what it finds that a worklist does not, that values and types stay, and that its limits hold."""

import time

import numpy as np
import pytest

import graphc as gc
from graphc.core import constant, input, toposort
from graphc.core.pattern import var
from graphc.lower import interpret
from graphc.lower.cost import Estimate
from graphc.lower.machine import REFERENCE
from graphc.rewrite import ALL, DEFAULT, RuleSet, rule, simplify
from graphc.rewrite.saturation import EXPLORING, saturate

x, y, z = (input(name, (1000, 100)) for name in "xyz")
a, b, c = input("a", (200, 10)), input("b", (10, 200)), input("c", (200, 5))
m, n = input("m", (100, 100)), input("n", (100, 100))


def by_ops(node):
    """A cost that a reader can count: 1 an op, 0 a leaf and a view."""
    return float(node.op is not None and not node.op.view)


def estimate():
    return Estimate(constants=REFERENCE)


@pytest.mark.parametrize("one", list(EXPLORING), ids=lambda one: one.name)
def test_an_exploring_rule_holds(one, rule_check):
    found = 0
    for root in rule_check.instances(one):
        for bound in one.bindings(root):
            after = one(root, bound, lambda _: True)
            if after is not None:
                found += 1
                assert after.type is root.type
                rule_check.check_values(one, root, after)
    assert found


def test_no_exploring_rule_is_in_a_set_that_simplify_gets():
    assert not set(EXPLORING) & set(ALL)


@pytest.mark.parametrize(
    ("roots", "ops"),
    [
        ([x * y + x * z], 2),
        ([x * y + x * z + gc.square(x)], 3),
        ([(x @ m) @ n + z @ n], 3),
        ([x @ m + x @ n + x @ m.T], 3),
        ([(x * y) * (x * z), x * x], 3),
        ([gc.exp(x) * y - gc.exp(x) * z, gc.exp(x)], 3),
        ([x * y + x * z, x * y], 3),
    ],
    ids=lambda value: "" if isinstance(value, int) else repr(value),
)
def test_what_is_shared_is_found(roots, ops):
    found = saturate(roots, DEFAULT, by_ops)
    assert found.stopped == "saturated"
    assert found.cost == ops == sum(map(by_ops, toposort(found.roots)))
    assert [root.type for root in found.roots] == [root.type for root in roots]


def test_a_chain_is_put_in_the_best_order():
    root = a @ (b @ (a @ (b @ c)))
    known = estimate()
    (best,) = saturate([((a @ b) @ (a @ b)) @ c], DEFAULT, known).roots
    assert known.total([best]) <= known.total([root])


def test_a_product_that_is_there_anyway_is_used():
    known = estimate()
    roots = [a @ (b @ (a @ (b @ c))), b @ a]
    found = saturate(roots, DEFAULT, known)
    assert found.cost < found.cost_before
    assert found.counts
    assert found.roots[1] in toposort([found.roots[0]])


def test_a_graph_that_nothing_improves_stays_as_it_is():
    roots = [gc.tanh(x @ m) + y]
    found = saturate(roots, DEFAULT, estimate())
    assert found.roots == roots
    assert found.applied == ()
    assert found.cost == found.cost_before


def test_what_was_made_stable_is_not_undone():
    dear = {"softplus": 100.0, "log_softmax": 100.0}

    def cost(node):
        return dear.get(node.op.name, 1.0) if node.op else 0.0

    (one, other) = saturate([gc.log(1 + gc.exp(x)), gc.log(gc.softmax(x))], DEFAULT, cost).roots
    assert one.op is gc.softplus
    assert other.op is gc.log_softmax


def test_rules_see_each_match_as_the_nodes_that_their_patterns_name():
    p = var("p")
    seen = []

    @rule(gc.exp(gc.negative(p)), safety="rounding")
    def looks(node, p):
        """Looks at what it is given."""
        seen.append((node.op, node.inputs[0].op, node.inputs[0].inputs[0] is p))

    @rule(gc.abs(p), safety="nan_unsafe")
    def is_negative(p):
        """Says that two nodes are equal."""
        return gc.negative(p)

    saturate([gc.exp(gc.abs(x))], RuleSet([is_negative, looks]), by_ops)
    assert seen == [(gc.exp, gc.negative, True)]


def test_operands_that_have_become_equal_make_their_readers_equal():
    p, q = var("p"), var("q")

    @rule(gc.subtract(p, q), safety="nan_unsafe")
    def as_sum(p, q):
        """Says that two nodes are equal."""
        return p + q

    found = saturate([gc.tanh(x - y) * gc.tanh(x + y)], DEFAULT + as_sum, by_ops)
    assert found.cost == 3  # square(tanh(x + y))


def test_constants_are_folded():
    two = constant(2.0, "float32")
    (found,) = saturate([x * (two * two)], DEFAULT, by_ops).roots
    assert sum(map(by_ops, toposort([found]))) == 1


def test_limits_hold_and_are_named():
    root = x
    for i in range(12):
        root = root * (input(f"f{i}", (1000, 100)) + y)
    found = saturate([root], DEFAULT, by_ops, nodes=300)
    assert found.stopped == "nodes"
    assert found.nodes < 400
    started = time.perf_counter()
    assert saturate([root], DEFAULT, by_ops, nodes=10**6, seconds=0.5).stopped == "seconds"
    assert time.perf_counter() - started < 5
    assert found.cost <= found.cost_before


def test_the_result_says_what_was_done():
    found = saturate([x * y + x * z], DEFAULT, by_ops)
    assert str(found).splitlines()[1:] == ["cost 3 before, 2 after", "    1  factor_of_sum"]
    (application,) = found.applied
    assert application.rule.name == "factor_of_sum"
    assert found.tried["factor_of_sum"] >= 1


def test_labels_and_lines_stay():
    (found,) = saturate([(x * y + x * z).named("total")], DEFAULT, by_ops).roots
    assert found.label == "total"
    assert found.origin is not None
    assert found.origin.file == __file__


def test_bodies_bundles_and_leaves_pass_through():
    q, r = gc.linalg.qr(input("w", (4, 4)))
    carry, outputs = gc.scan(lambda s, i: (s + i, s), input("s", (3,)), input("items", (5, 3)))
    roots = [q, q @ r, carry, outputs, x]
    assert saturate(roots, DEFAULT, estimate()).roots == roots


LEAVES = [input(f"p{i}", (3, 3), "float64") for i in range(4)]
BINARY = [gc.add, gc.subtract, gc.multiply, gc.matmul, gc.maximum]
UNARY = [gc.negative, gc.square, gc.tanh, gc.transpose, lambda t: gc.exp(0.1 * t), lambda t: gc.sum(t, axis=0), lambda t: 0.5 * t]


def program(rng):
    nodes = list(LEAVES)
    for _ in range(rng.integers(4, 10)):
        square = [node for node in nodes if node.ndim == 2]
        if rng.random() < 0.4:
            nodes.append(UNARY[rng.integers(len(UNARY))](square[rng.integers(len(square))]))
        else:
            one, other = rng.integers(len(square), size=2)
            nodes.append(BINARY[rng.integers(len(BINARY))](square[one], square[other]))
    return nodes[-2:]


@pytest.mark.parametrize("seed", range(60))
def test_random_programs_keep_their_values(seed):
    rng = np.random.default_rng(seed)
    roots = program(rng)
    known = estimate()
    found = saturate(roots, DEFAULT, known, nodes=400, seconds=60)
    assert [root.type for root in found.roots] == [root.type for root in roots]
    assert known.total(found.roots) <= known.total(roots) * (1 + 1e-9)
    values = {leaf: 0.5 * rng.standard_normal((3, 3)) for leaf in LEAVES}
    for new, old in zip(interpret(found.roots, values), interpret(roots, values), strict=True):
        np.testing.assert_allclose(new, old, rtol=1e-8, atol=1e-8 * (1 + np.abs(old).max()))


def test_after_simplify_it_never_gets_dearer():
    known = estimate()
    plain = simplify([gc.grad(gc.sum(gc.tanh(x @ m) * y), m)]).roots
    assert saturate(plain, DEFAULT, known).cost <= known.total(plain) * (1 + 1e-9)
