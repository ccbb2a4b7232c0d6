"""Contractions against NumPy's and JAX's own: any subscripts, any sizes, values and gradients."""

import functools
import itertools
import string
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc.core import OPS, Tensor, toposort
from graphc.testing import check_gradient

Shapes = tuple[tuple[int, ...], ...]
WRITTEN: list[tuple[str, Shapes]] = [
    ("", ((),)),
    ("->", ((),)),
    (",->", ((), ())),
    (",i", ((), (3,))),
    ("i", ((3,),)),
    ("i->", ((3,),)),
    ("ij", ((2, 3),)),
    ("ji", ((2, 3),)),
    ("ij->ji", ((2, 3),)),
    ("ij->i", ((2, 3),)),
    ("ij->", ((2, 3),)),
    ("ii", ((3, 3),)),
    ("ii->i", ((3, 3),)),
    ("iii->i", ((2, 2, 2),)),
    ("iij->j", ((2, 2, 3),)),
    ("iji->ji", ((2, 3, 2),)),
    ("ijij->ji", ((2, 3, 2, 3),)),
    ("iijj", ((2, 2, 3, 3),)),
    ("i,i", ((3,), (3,))),
    ("i,i->i", ((3,), (3,))),
    ("i,j", ((2,), (3,))),
    ("j,i->ji", ((2,), (3,))),
    ("ij,j", ((2, 3), (3,))),
    ("ij,jk", ((2, 3), (3, 4))),
    ("ij,jk->ki", ((2, 3), (3, 4))),
    ("ij,kj->ik", ((2, 3), (4, 3))),
    ("ji,jk->ik", ((3, 2), (3, 4))),
    ("ij,ij", ((2, 3), (2, 3))),
    ("ij,ji->i", ((2, 3), (3, 2))),
    ("bij,bjk->bik", ((2, 3, 4), (2, 4, 2))),
    ("bij,bkj->kbi", ((2, 3, 4), (2, 2, 4))),
    ("ibj,bjk->kib", ((3, 2, 4), (2, 4, 2))),
    ("bi,bi->b", ((3, 2), (3, 2))),
    ("bi,bj->bij", ((3, 2), (3, 4))),
    ("bqhd,bkhd->bhqk", ((2, 3, 2, 4), (2, 2, 2, 4))),
    ("bhqk,bkhd->bqhd", ((2, 2, 3, 2), (2, 2, 2, 4))),
    ("ijk,jkl->il", ((2, 3, 2), (3, 2, 4))),
    ("ijk,kji->", ((2, 3, 4), (4, 3, 2))),
    ("ij,k->k", ((2, 3), (4,))),
    ("ij,k->ijk", ((2, 3), (4,))),
    ("ij,k->", ((2, 3), (4,))),
    ("ii,i->i", ((3, 3), (3,))),
    ("ii,jj->ij", ((2, 2), (3, 3))),
    ("ii,ij->j", ((2, 2), (2, 3))),
    ("i,ij,j", ((2,), (2, 3), (3,))),
    ("ij,jk,kl->il", ((2, 3), (3, 4), (4, 2))),
    ("ij,jk,ki", ((2, 3), (3, 4), (4, 2))),
    ("i,i,i->i", ((3,), (3,), (3,))),
    ("i,j,k->kji", ((2,), (3,), (2,))),
    ("ab,bc,cd,de->ae", ((2, 3), (3, 2), (2, 3), (3, 2))),
    ("a,ab,abc,abcd->d", ((2,), (2, 3), (2, 3, 2), (2, 3, 2, 3))),
    ("pi,qj,rk,sl,pqrs->ijkl", ((2, 2), (2, 2), (2, 2), (2, 2), (2, 2, 2, 2))),
    ("...", ((2, 3),)),
    ("...->...", ((2, 3),)),
    ("i...->...i", ((2, 3, 4),)),
    ("...i->...", ((2, 3),)),
    ("...ii->...i", ((2, 3, 3),)),
    ("i...i->...", ((3, 2, 3),)),
    ("i->...i", ((3,),)),
    ("...i->i", ((3,),)),
    ("...,...", ((2, 3), (3,))),
    ("...,...->...", ((2, 1), (1, 3))),
    ("...ij,...jk", ((2, 1, 2, 3), (4, 3, 2))),
    ("i...,i...->...i", ((2, 3), (2, 1))),
    ("...i,...i", ((4, 1, 3), (2, 3))),
    ("i...j,k...j->ik...", ((2, 3, 2), (2, 1, 2))),
    (" i j , j k -> i k ", ((2, 3), (3, 4))),
    ("Ba,aC->BC", ((2, 3), (3, 4))),
    ("aB", ((2, 3),)),
    ("ij,jk->ik", ((2, 1), (3, 4))),
    ("ij,ij->i", ((2, 1), (2, 3))),
    ("ij,ij", ((2, 1), (1, 3))),
    ("i,i", ((1,), (3,))),
    ("i,i->i", ((1,), (1,))),
    ("ii,i->i", ((1, 1), (3,))),
    ("ij,jk,kl->il", ((2, 1), (3, 4), (1, 5))),
    ("ij,jk->ik", ((0, 3), (3, 2))),
    ("ij,jk->ik", ((2, 0), (0, 2))),
    ("ij,jk->ik", ((2, 0), (1, 2))),
    ("i,j->ij", ((0,), (2,))),
    ("ii", ((0, 0),)),
]


def drawn(seed: int) -> tuple[str, Shapes]:
    """Subscripts at random: repeated labels, ellipsis, axes of size 1, sums over lone labels, one to four operands."""
    rng = np.random.default_rng(seed)
    size = dict(zip("abcd", rng.integers(1, 4, 4).tolist(), strict=True))
    terms, shapes = [], []
    dots = rng.random() < 0.4
    for _ in range(rng.integers(1, 5)):
        labels = "".join(rng.choice(list("abcd"), rng.integers(0, 4)))
        flat = {label for label in labels if rng.random() < 0.2}
        shape = [1 if label in flat else size[label] for label in labels]
        place, rest = int(rng.integers(0, len(labels) + 1)), [int(n) if rng.random() < 0.8 else 1 for n in (2, 3)][: rng.integers(0, 3)]
        if dots:
            labels, shape = labels[:place] + "..." + labels[place:], shape[:place] + rest[::-1] + shape[place:]
        terms.append(labels)
        shapes.append(tuple(shape))
    text = ",".join(terms)
    if rng.random() < 0.7:
        known = sorted(set(text) - set(",."))
        out = "".join(rng.permutation(known)[: rng.integers(0, len(known) + 1)])
        text += "->" + ("..." if dots else "") + out
    return text, tuple(shapes)


def legal(subscripts: str, shapes: Shapes) -> bool:
    try:
        np.einsum(subscripts, *map(np.ones, shapes))
    except ValueError:
        return False
    return True


DRAWN = list(dict.fromkeys(example for example in map(drawn, range(160)) if legal(*example)))[:80]
EXAMPLES = WRITTEN + DRAWN
every_example = pytest.mark.parametrize(("subscripts", "shapes"), EXAMPLES, ids=lambda part: str(part).replace(" ", ""))


def values_of(shapes: Shapes, seed: int = 0) -> list[Any]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-1, 1, shape) for shape in shapes]


def inputs_of(shapes: Any, dtype: str = "float64") -> list[Any]:
    return [gc.input(f"x{i}", shape, dtype) for i, shape in enumerate(shapes)]


# ---------------------------------------------------------------- einsum
def test_the_examples_are_many_and_of_every_kind() -> None:
    assert len(EXAMPLES) > 130
    terms = [term for subscripts, _ in DRAWN for term in subscripts.partition("->")[0].split(",")]
    assert any(len(set(letters)) < len(letters) for term in terms for letters in [term.replace(".", "")])
    assert any("..." in term for term in terms)


@every_example
def test_einsum_is_numpys(subscripts: str, shapes: Shapes) -> None:
    inputs, values = inputs_of(shapes), values_of(shapes)
    expected = np.einsum(subscripts, *values)
    y = gc.einsum(subscripts, *inputs)
    found = gc.compile(inputs, y)(*values)
    assert y.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-13)


@every_example
def test_the_gradient_of_einsum_is_the_differences(subscripts: str, shapes: Shapes) -> None:
    inputs = inputs_of(shapes)
    assert check_gradient(gc.einsum(subscripts, *inputs), inputs, at=dict(zip(inputs, values_of(shapes), strict=True)))


@pytest.mark.parametrize("chunk", range(8))
def test_jax_agrees_on_values_and_on_gradients(chunk: int) -> None:
    """Several at once, since most of the time goes into calling XLA."""
    inputs, values, outputs = [], [], []
    for subscripts, shapes in (WRITTEN + DRAWN[:40])[chunk::8]:
        own = inputs_of(shapes)
        y = gc.einsum(subscripts, *own)
        outputs += [y, *gc.grad(gc.sum(gc.sin(y)), own)]
        inputs += own
        values += values_of(shapes)
    ours = gc.compile(inputs, outputs)(*values)
    theirs = gc.compile(inputs, outputs, backend="jax")(*values)
    for found, expected in zip(theirs, ours, strict=True):
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint16", "int32", "int64", "float16", "float32"])
@pytest.mark.parametrize("subscripts", ["ij->j", "ij,jk", "ij,kj->", "ii,i->i", "ij,j,jk->k"])
def test_einsum_keeps_the_dtype_as_numpy_does(subscripts: str, dtype: str) -> None:
    shapes = [(3,) * len(term) for term in subscripts.partition("->")[0].split(",")]
    values = [(abs(value) * 3).astype(dtype) for value in values_of(tuple(shapes))]
    inputs = inputs_of(shapes, dtype)
    expected = np.einsum(subscripts, *values)
    for backend in ("numpy", "jax"):
        found = np.asarray(gc.compile(inputs, gc.einsum(subscripts, *inputs), backend=backend)(*values))
        assert found.dtype == expected.dtype
        np.testing.assert_allclose(found.astype(float), expected.astype(float), rtol=5e-3 if dtype == "float16" else 1e-5)


def test_equal_contractions_are_one_node() -> None:
    a, b = gc.input("a", (2, 3)), gc.input("b", (3, 4))
    assert gc.einsum("ij,jk", a, b) is gc.einsum(" xz , zy -> xy ", a, b)
    assert gc.einsum("ij,jk->ik", a, b) is gc.einsum("...j,jk->...k", a, b)
    assert gc.einsum("ij,jk->ki", a, b) is not gc.einsum("ij,jk->ik", a, b)


def test_the_interleaved_form() -> None:
    a, b = gc.input("a", (2, 3)), gc.input("b", (3, 4))
    assert gc.einsum(a, [0, 1], b, [1, 2]) is gc.einsum("ij,jk", a, b)
    assert gc.einsum(a, [7, 1], b, [1, 0], [0, 7]) is gc.einsum("ij,jk->ki", a, b)
    assert gc.einsum(a, [..., 1], [1, ...]) is gc.einsum("...j->j...", a)
    with pytest.raises(gc.errors.ArgumentError, match="are no labels"):
        gc.einsum(a, [0, -1])


def test_named_sizes_stay_names() -> None:
    x, w = gc.input("x", ("batch", 2, "n"), "float64"), gc.input("w", (4, 2, "n"), "float64")
    y = gc.einsum("bhn,khn->bk", x, w)
    assert [str(size) for size in y.shape] == ["batch", "4"]
    rng = np.random.default_rng(0)
    run = gc.compile([x, w], [y, *gc.grad(gc.sum(y * y), [x, w])])
    for batch, n in ((3, 5), (1, 1), (0, 2)):
        a, b = rng.normal(size=(batch, 2, n)), rng.normal(size=(4, 2, n))
        product = np.einsum("bhn,khn->bk", a, b)
        expected = [product, 2 * np.einsum("bk,khn->bhn", product, b), 2 * np.einsum("bk,bhn->khn", product, a)]
        for found, known in zip(run(a, b), expected, strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-12, atol=1e-14)


def _ops(y: Tensor) -> list[str]:
    from graphc.lower.expand import expand

    return [node.op.name for node in toposort(expand([y], "numpy")) if node.op is not None]


@pytest.mark.parametrize(
    ("subscripts", "shapes", "expected"),
    [
        ("ij,jk->ik", ((2, 3), (3, 4)), ["matmul"]),
        ("ij,jk->ki", ((2, 3), (3, 4)), ["transpose", "transpose", "matmul"]),
        ("bij,bjk->bik", ((5, 2, 3), (5, 3, 4)), ["matmul"]),
        ("i,i->", ((3,), (3,)), ["matmul"]),
        ("ij,jk,k->i", ((9, 9), (9, 9), (9,)), ["matmul", "matmul"]),
        ("ij->", ((2, 3),), ["sum"]),
        ("ii->i", ((3, 3),), ["diagonals"]),
    ],
)
def test_a_pair_is_one_product_of_matrices(subscripts: str, shapes: Shapes, expected: list[str]) -> None:
    assert _ops(gc.einsum(subscripts, *inputs_of(shapes))) == expected


def test_the_cheapest_order_is_taken_and_counted() -> None:
    a, b, v = gc.input("a", (50, 60)), gc.input("b", (60, 70)), gc.input("v", (70,))
    assert OPS["einsum"].count_flops(gc.einsum("ij,jk,k->i", a, b, v)) == 2 * 60 * 70 + 2 * 50 * 60
    x = gc.input("x", ("n", 3))
    assert str(OPS["einsum"].count_flops(gc.einsum("ni,ij->nj", x, gc.input("w", (3, 4))))) == "24*n"
    assert OPS["einsum"].count_flops(gc.einsum("i,j->ij", gc.input("p", (3,)), gc.input("q", (5,)))) == 15


@pytest.mark.parametrize("count", [3, 8, 9, 22])
def test_many_operands_are_contracted_two_by_two(count: int) -> None:
    labels = string.ascii_letters[: count + 1]
    chain = ",".join(a + b for a, b in itertools.pairwise(labels)) + f"->{labels[0]}{labels[-1]}"
    values = values_of(((3, 3),) * count)
    inputs = inputs_of([(3, 3)] * count)
    found = gc.compile(inputs, gc.einsum(chain, *inputs))(*values)
    np.testing.assert_allclose(found, functools.reduce(np.matmul, values), rtol=1e-11, atol=1e-11)


def test_the_order_of_many_is_the_best_one() -> None:
    """A greedy order joins the two that shrink most, and pays for it later."""
    sizes = dict(zip("abcdefghijk", (30, 2, 40, 3, 50, 2, 20, 60, 4, 30, 5), strict=True))
    terms = [a + b for a, b in itertools.pairwise(sizes)]
    inputs = inputs_of([tuple(sizes[label] for label in term) for term in terms])
    node = gc.einsum(f"{','.join(terms)}->ak", *inputs)

    @functools.cache
    def chain(i: int, j: int) -> int:
        """The price of the product of the matrices i to j (Godbole, 1973)."""
        n = list(sizes.values())
        return 0 if i == j else min(chain(i, m) + chain(m + 1, j) + 2 * n[i] * n[m + 1] * n[j + 1] for m in range(i, j))

    assert OPS["einsum"].count_flops(node) == chain(0, len(terms) - 1)


def test_a_diagonal_has_no_gradient_beside_it_even_of_infinities() -> None:
    """An embedding by a product with the identity would make NaN of 0 * inf."""
    x = gc.input("x", (2, 2), "float64")
    y = gc.sum(gc.log(gc.einsum("ii->i", x)))
    for backend in ("numpy", "jax"):
        found = gc.compile([x], gc.grad(y, x), backend=backend)(np.array([[0.0, 1], [1, 2]]))
        np.testing.assert_array_equal(np.asarray(found), [[np.inf, 0], [0, 0.5]])


def test_a_where_above_does_not_pass_for_the_sign_of_the_other_operand() -> None:
    """A mask goes through what moves elements, and a contraction with another tensor does more than that."""
    x, w = gc.input("x", (2,), "float64"), gc.input("w", (2, 2), "float64")
    y = gc.where(gc.constant([True, False]), gc.einsum("j,jk->k", gc.exp(x), w), 0)
    dx = gc.evaluate(gc.grad(gc.sum(y), x), {x: [0.0, 0.0], w: [[-1.0, 5], [-2, 5]]})
    np.testing.assert_array_equal(dx, [-1, -2])


BAD: list[tuple[str, Shapes, type[Exception], str]] = [
    ("ij,jk->il", ((2, 3), (3, 4)), gc.errors.ArgumentError, "'l', and no operand has it"),
    ("ij,jk->ii", ((2, 3), (3, 4)), gc.errors.ArgumentError, "twice"),
    ("ij,jk", ((2, 3), (4, 5)), gc.errors.ShapeError, r"'j' is 3 in xs\[0\] and 4 in xs\[1\]"),
    ("ii", ((2, 3),), gc.errors.ShapeError, r"'i' is 2 and 3 in xs\[0\]"),
    ("ii", ((1, 3),), gc.errors.ShapeError, r"'i' is 1 and 3 in xs\[0\]"),
    ("...,...", ((2,), (3,)), gc.errors.ShapeError, r"an axis of '\.\.\.' is 2 in xs\[0\] and 3 in xs\[1\]"),
    ("ij", ((2, 3, 4),), gc.errors.ShapeError, "for 2 axes, the operand has 3"),
    ("ij...", ((2,),), gc.errors.ShapeError, "for 2 axes, the operand has 1"),
    ("ij,jk", ((2, 3),), gc.errors.ArgumentError, "for 2 operands, 1 are given"),
    ("i", ((2,), (2,)), gc.errors.ArgumentError, "for 1 operands, 2 are given"),
    ("i1->i", ((2, 2),), gc.errors.ArgumentError, "'1' in the subscripts"),
    ("i..j", ((2, 2),), gc.errors.ArgumentError, r"'\.' in the subscripts"),
    ("...i->i", ((2, 3),), gc.errors.ArgumentError, r"leaves out the axes of '\.\.\.'"),
    ("i->j->i", ((2,),), gc.errors.ArgumentError, "is no label"),
]


@pytest.mark.parametrize(("subscripts", "shapes", "kind", "message"), BAD, ids=[bad[0] for bad in BAD])
def test_bad_subscripts_are_refused_in_three_parts(subscripts: str, shapes: Shapes, kind: type[Exception], message: str) -> None:
    with pytest.raises(ValueError):
        np.einsum(subscripts, *map(np.ones, shapes))
    with pytest.raises(kind, match=message) as caught:
        gc.einsum(subscripts, *inputs_of(shapes))
    error: Any = caught.value
    assert error.asked.startswith("einsum(xs[0]")
    assert len(error.given) == len(shapes)
    assert error.fits


# ---------------------------------------------------------------- the others
TENSORDOTS: list[tuple[Shapes, Any]] = [
    (((2, 3), (3, 4)), 1),
    (((2, 3, 4), (3, 4, 5)), 2),
    (((2, 3), (4,)), 0),
    (((2, 3, 4), (4, 3)), ([1, 2], [1, 0])),
    (((2, 3, 4), (5, 3)), (1, 1)),
    (((2, 3, 4), (5, 3)), (-2, -1)),
    (((2, 3), (2, 3)), ([0, 1], [0, 1])),
    (((2, 0), (0, 3)), 1),
    (((2,), (3,)), ([], [])),
]


@pytest.mark.parametrize(("shapes", "axes"), TENSORDOTS)
def test_tensordot_is_numpys(shapes: Shapes, axes: Any) -> None:
    inputs, values = inputs_of(shapes), values_of(shapes)
    y = gc.tensordot(*inputs, axes=axes)
    np.testing.assert_allclose(gc.evaluate(y, dict(zip(inputs, values, strict=True))), np.tensordot(*values, axes=axes), rtol=1e-12)
    assert check_gradient(y, inputs, at=dict(zip(inputs, values, strict=True)))


PAIRS: list[Shapes] = list(itertools.product([(), (3,), (2, 3), (2, 1, 3), (1, 0)], repeat=2))


@pytest.mark.parametrize("shapes", PAIRS, ids=str)
@pytest.mark.parametrize("name", ["dot", "inner", "outer", "kron", "vdot"])
def test_the_others_are_numpys_or_refused_as_there(name: str, shapes: Shapes) -> None:
    inputs, values = inputs_of(shapes), values_of(shapes)
    try:
        expected = getattr(np, name)(*values)
    except ValueError:
        with pytest.raises(gc.errors.ShapeError) as caught:
            getattr(gc, name)(*inputs)
        assert caught.value.asked
        assert caught.value.given
        assert caught.value.fits
        return
    y = getattr(gc, name)(*inputs)
    assert y.shape == np.shape(expected)
    np.testing.assert_allclose(gc.evaluate(y, dict(zip(inputs, values, strict=True))), expected, rtol=1e-12, atol=1e-14)
    assert check_gradient(y, inputs, at=dict(zip(inputs, values, strict=True)))


@pytest.mark.parametrize(
    ("axes", "kind", "message"),
    [
        (3, gc.errors.ArgumentError, "3 axes cannot be summed over"),
        (-1, gc.errors.ArgumentError, "-1 axes cannot"),
        (1, gc.errors.ShapeError, "axis 1 of a is 3, axis 0 of b is 2"),
        ((5, 0), gc.errors.ArgumentError, "there is no axis 5"),
        (([0, 1], [0]), gc.errors.ArgumentError, "do not pair"),
        (([0, 0], [0, 0]), gc.errors.ArgumentError, "do not pair"),
        ("ab", gc.errors.ArgumentError, "are no axes"),
    ],
)
def test_axes_that_tensordot_refuses(axes: Any, kind: type[Exception], message: str) -> None:
    a, b = inputs_of([(2, 3), (2, 3)])
    with pytest.raises(kind, match=message) as caught:
        gc.tensordot(a, b, axes=axes)
    error: Any = caught.value
    assert error.asked.startswith("tensordot(a, b, axes=")
    assert len(error.given) == 2
    assert error.fits


def test_literals_and_dtypes_meet_as_elsewhere() -> None:
    x = gc.input("x", (2,), "float32")
    assert gc.dot(x, 2.0).dtype == "float32"
    assert gc.outer(x, np.ones(3)).dtype == "float64"
    assert gc.kron(x, np.array([1, 2])).dtype == "float64"
    assert gc.einsum("i,i", x, gc.input("y", (2,), "float64")).dtype == "float64"


# ---------------------------------------------------------------- stacks
STACKS: list[tuple[str, dict[str, Any], Shapes]] = [
    ("matmul", {}, ((2, 3), (3, 4))),
    ("matmul", {}, ((3,), (3,))),
    ("matmul", {}, ((3,), (3, 2))),
    ("matmul", {}, ((2, 3), (3,))),
    ("matmul", {}, ((3,), (2, 3, 4))),
    ("matmul", {}, ((4, 2, 3), (3,))),
    ("matmul", {}, ((2, 1, 2, 3), (4, 3, 2))),
    ("einsum", {"subscripts": "ij,jk->ki"}, ((2, 3), (3, 4))),
    ("einsum", {"subscripts": "ii,i"}, ((3, 3), (3,))),
    ("diagonals", {"subscripts": "aba->ba"}, ((2, 3, 2),)),
    ("on_diagonals", {"subscripts": "ab->bab"}, ((2, 3),)),
    ("layer_norm", {"axis": (1,), "epsilon": 0.1}, ((2, 3),)),
    ("rms_norm", {"axis": (0,), "epsilon": 0.1}, ((2, 3),)),
    ("softmax_crossentropy", {"axis": 0}, ((2, 3), (2, 3))),
]


@pytest.mark.parametrize(("name", "attributes", "shapes"), STACKS, ids=str)
def test_an_op_on_stacks_is_the_stack_of_the_op(name: str, attributes: dict[str, Any], shapes: Shapes) -> None:
    op, count = OPS[name], 5
    assert op.batch is not None
    for mapped in itertools.product([True, False], repeat=len(shapes)):
        if not any(mapped):
            continue
        stacked = [(count,) * on + shape for on, shape in zip(mapped, shapes, strict=True)]
        inputs, values = inputs_of(stacked), values_of(tuple(stacked))
        found = gc.evaluate(op.batch(list(mapped), *inputs, **attributes), dict(zip(inputs, values, strict=True)))
        for i in range(count):
            own = [value[i] if on else value for on, value in zip(mapped, values, strict=True)]
            call = op(own, **attributes) if op.variadic else op(*own, **attributes)
            np.testing.assert_allclose(found[i], gc.evaluate(call), rtol=1e-12)


@pytest.mark.parametrize("subscripts", ["ij,jk->ik", "ii,i->i", "i,ij,j->", "...i,ij->...j"])
def test_forward_mode_and_vmap_of_einsum(subscripts: str) -> None:
    shapes = tuple((3,) * len(term.replace("...", "b")) for term in subscripts.partition("->")[0].split(","))
    values, tangents = values_of(shapes), values_of(shapes, seed=1)
    inputs, moved = inputs_of(shapes), inputs_of(shapes)
    y = gc.einsum(subscripts, *inputs)
    found = gc.evaluate(gc.jvp(y, inputs, moved), dict(zip(inputs + moved, values + tangents, strict=True)))
    each = [np.einsum(subscripts, *values[:i], tangents[i], *values[i + 1 :]) for i in range(len(shapes))]
    np.testing.assert_allclose(found, sum(each), rtol=1e-12)

    stacks = [np.stack([value, tangent]) for value, tangent in zip(values, tangents, strict=True)]
    xs = inputs_of([stack.shape for stack in stacks])
    found = gc.evaluate(gc.vmap(lambda *own: gc.einsum(subscripts, *own))(*xs), dict(zip(xs, stacks, strict=True)))
    np.testing.assert_allclose(found, [np.einsum(subscripts, *values), np.einsum(subscripts, *tangents)], rtol=1e-12)


# ---------------------------------------------------------------- complex numbers
COMPLEX: dict[str, tuple[Any, Any, Shapes]] = {
    "matmul": (gc.matmul, np.matmul, ((2, 3), (3, 2))),
    "matmul of vectors": (gc.matmul, np.matmul, ((3,), (3, 2))),
    "einsum": (lambda a, b: gc.einsum("ij,kj->ik", a, b), lambda a, b: np.einsum("ij,kj->ik", a, b), ((2, 3), (2, 3))),
    "a diagonal": (lambda a, b: gc.einsum("ii,i->i", a, b), lambda a, b: np.einsum("ii,i->i", a, b), ((3, 3), (3,))),
    "vdot": (gc.vdot, np.vdot, ((2, 3), (6,))),
    "kron": (gc.kron, np.kron, ((2, 3), (2, 1))),
}


@pytest.mark.parametrize("name", COMPLEX)
def test_complex_operands(name: str) -> None:
    """The gradient is dL/dRe + i dL/dIm, here of the sum of weights times the real and imaginary parts, by differences."""
    build, numpys, shapes = COMPLEX[name]
    values = [a + 1j * b for a, b in zip(values_of(shapes), values_of(shapes, seed=1), strict=True)]
    inputs = inputs_of(shapes, "complex128")
    y, expected = build(*inputs), numpys(*values)
    weights = values_of((np.shape(expected),), seed=2)[0] + 1j * values_of((np.shape(expected),), seed=3)[0]
    loss = gc.sum(gc.real(gc.conj(gc.constant(weights)) * y))
    run = gc.compile(inputs, [y, *gc.grad(loss, inputs)])
    value, *gradients = run(*values)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for i, gradient in enumerate(gradients):
        for place in np.ndindex(shapes[i]):
            for direction in (1, 1j):
                step = np.zeros(shapes[i], complex)
                step[place] = 1e-3 * direction
                above, below = (numpys(*values[:i], values[i] + sign * step, *values[i + 1 :]) for sign in (1, -1))
                slope = np.sum((np.conj(weights) * (above - below)).real) / 2e-3
                assert slope == pytest.approx((gradient[place] * np.conj(direction)).real, rel=1e-6, abs=1e-9)
