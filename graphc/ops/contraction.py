"""Sums of products over named axes: einsum and what is spelt with it.

A contraction stays one node until the target takes it apart: JAX has a form of its own, NumPy gets transpositions and one product
of matrices for each pair of operands, in the order that costs least.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, TypeAlias, cast

from graphc.core import Tensor, TensorType, case, describe, dtypes, op, sizes
from graphc.core.attributes import axis_of, several
from graphc.core.errors import ArgumentError, GraphcError, ShapeError
from graphc.core.op import as_dtype, common_dtype
from graphc.core.sizes import Dim, Shape
from graphc.ops.complex_numbers import conj
from graphc.ops.pointwise import multiply
from graphc.ops.product import matmul
from graphc.ops.reduce import sum as sum_over
from graphc.ops.shape import broadcast_to, expand_dims, reshape, transpose

__all__ = [
    "dot",
    "einsum",
    "inner",
    "kron",
    "outer",
    "tensordot",
    "vdot",
]

Label: TypeAlias = str | int
"""A letter, or an axis of the ellipsis, counted from the last one: -1, -2 ..."""
Tree: TypeAlias = "int | tuple[Tree, Tree]"
"""Which operands are contracted first: the number of one, or two trees."""
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
ORDERED = "".join(sorted(LETTERS))
"""The letters in the order in which an implicit output has them."""
EXHAUSTIVE = 7
"""Up to so many operands every order of contraction is tried, also those that begin with an outer product."""
EXACT = 20
"""Up to so many the best order is found that begins with no outer product; beyond, the greedy one is taken."""


# ---------------------------------------------------------------- subscripts
def _term(text: str, ndim: int | None, spread: int = 0) -> list[Label]:
    """The label of each axis. ``spread`` is the length of the ellipsis where ``ndim`` does not say it."""
    before, dots, after = text.partition("...")
    odd = [c for c in before + after if c not in LETTERS]
    if odd:
        raise ArgumentError(f"{odd[0]!r} in the subscripts {text!r} is no label", fits="letters, and '...' once a term")
    named = len(before) + len(after)
    if ndim is not None and (ndim < named or (ndim > named and not dots)):
        raise ShapeError(f"the subscripts {text!r} are for {named} axes, the operand has {ndim}", fits="a label for each axis, or '...'")
    rest = range(-(spread if ndim is None else ndim - named), 0) if dots else ()
    return [*before, *rest, *after]


def _output(text: str | None, terms: Sequence[list[Label]], spread: int) -> list[Label]:
    labels = [label for term in terms for label in term]
    if text is None:
        return [*range(-spread, 0), *(c for c in ORDERED if labels.count(c) == 1)]
    found = _term(text, None, spread)
    unknown = [label for label in found if label not in labels]
    if unknown:
        raise ArgumentError(f"the output has the label {unknown[0]!r}, and no operand has it", fits="labels of the operands")
    if len(set(found)) < len(found):
        raise ArgumentError(f"the output {text!r} has a label twice", fits="each label once")
    if spread and "..." not in text:
        raise ArgumentError(f"the output {text!r} leaves out the axes of '...'", fits=f"'...{text}'")
    return found


def _canonical(value: Any, types: tuple[TensorType, ...]) -> str:
    """Subscripts with an output, without ellipsis and spaces, and labels in the order of the alphabet as they occur."""
    if not isinstance(value, str):
        raise ArgumentError(f"{value!r} are no subscripts", fits="a text such as 'ij,jk->ik'")
    inputs, arrow, output = value.replace(" ", "").partition("->")
    texts = inputs.split(",")
    if len(texts) != len(types):
        raise ArgumentError(f"{value!r} is for {len(texts)} operands, {len(types)} are given", fits="a term for each, between commas")
    terms = [_term(text, type.ndim) for text, type in zip(texts, types, strict=True)]
    spread = -min([label for term in terms for label in term if isinstance(label, int)], default=0)
    out = _output(output if arrow else None, terms, spread)
    _label_sizes(terms, types)
    order = dict.fromkeys(label for term in terms for label in term)
    if len(order) > len(LETTERS):
        raise ArgumentError(f"{value!r} has {len(order)} labels, those of '...' included", fits=f"at most {len(LETTERS)}")
    letter = dict(zip(order, LETTERS, strict=False))
    return ",".join("".join(letter[x] for x in term) for term in terms) + "->" + "".join(letter[x] for x in out)


def _label_sizes(terms: Sequence[Sequence[Label]], types: Sequence[TensorType]) -> dict[Any, Dim]:
    """The size of each label; 1 meets any size of another operand."""
    found: dict[Label, tuple[Dim, int]] = {}
    for i, (term, type) in enumerate(zip(terms, types, strict=True)):
        own: dict[Label, Dim] = {}
        for label, size in zip(term, type.shape, strict=True):
            if own.setdefault(label, size) != size:
                raise ShapeError(f"{label!r} is {own[label]} and {size} in xs[{i}]", fits="a diagonal of axes of one size")
        for label, size in own.items():
            known, first = found.get(label, (1, i))
            if 1 not in (known, size) and known != size:
                name = "an axis of '...'" if isinstance(label, int) else repr(label)
                raise ShapeError(f"{name} is {known} in xs[{first}] and {size} in xs[{i}]", fits="one size for a label, or 1")
            found[label] = (known, first) if size == 1 and known != 1 else (size, i)
    return {label: size for label, (size, _) in found.items()}


def _split(subscripts: str) -> tuple[list[str], str]:
    inputs, _, out = subscripts.partition("->")
    return inputs.split(","), out


def _joined(terms: Iterable[str], out: str) -> str:
    return f"{','.join(terms)}->{out}"


# ---------------------------------------------------------------- the op
def _flops(node: Tensor) -> Dim:
    """Of the cheapest order of contraction: two for each product that is summed, one for each that is not."""
    terms, out = _split(node.attributes["subscripts"])
    size = _label_sizes(terms, [x.type for x in node.inputs])
    kept = [_kept(term, x.shape, size) for term, x in zip(terms, node.inputs, strict=True)]
    total: Dim = 0

    def visit(tree: Tree) -> set[int]:
        nonlocal total
        if isinstance(tree, int):
            return {tree}
        a, b = visit(tree[0]), visit(tree[1])
        both = _open(kept, out, a) | _open(kept, out, b)
        closed = both - _open(kept, out, a | b)
        total = sizes.product(tuple([size[label] for label in sorted(both)])) * (2 if closed else 1) + total
        return a | b

    for i, term in enumerate(kept):
        if set(term) - _open(kept, out, {i}):
            total = sizes.product(tuple([size[label] for label in sorted(set(term))])) + total
    visit(_tree(tuple(kept), out, _numbers(size)))
    return total


def _kept(term: str, shape: Shape, size: Mapping[str, Dim]) -> str:
    """The term without the axes of size 1 along which its operand is repeated."""
    return "".join(label for label, own in zip(term, shape, strict=True) if own == size[label])


def _numbers(size: Mapping[str, Dim]) -> tuple[tuple[str, int], ...]:
    return tuple([(label, sizes.typical(dim)) for label, dim in size.items()])


@op(
    None,
    jax="xp.einsum($subscripts, $xs)",
    name="einsum",
    linear=("xs",),
    promote=("xs",),
    flops=_flops,
    ulps=16,
    precision="low",
    text="einsum($subscripts, $xs)",
    cases=(
        case((2, 3), (3, 4), subscripts="ij,jk"),
        case((2, 3), subscripts="ij->ji"),
        case((2, 3), subscripts="ij->j"),
        case((3, 3), subscripts="ii"),
        case((3, 2, 3), subscripts="iji->ij"),
        case((2, 3), (2, 3), subscripts="ij,ij->"),
        case((2,), (3,), subscripts="i,j->ji"),
        case((3, 2), (3, 2), subscripts="bi,bi->b"),
        case((2, 1, 3), (3, 2), subscripts="...j,jk->...k"),
        case((2, 3), (1, 3), subscripts="ij,ij->ij"),
        case((2, 1), (3, 2), subscripts="ij,jk->k"),
        case((2, 2), (2,), (2, 3), subscripts="ii,i,ij->j"),
        case((2, 3), (3, 2), (2, 2), (2,), subscripts="ab,bc,cd,d->a"),
        case((0, 3), (3, 2), subscripts="ij,jk->ik"),
        case((2, 0), (0, 2), subscripts="ij,jk->ik"),
        case((), (2,), subscripts=",i->i"),
    ),
)
def contraction(*xs: TensorType, subscripts: Annotated[str, _canonical]) -> TensorType:
    """The sum of products that the subscripts say; see :func:`einsum`."""
    terms, out = _split(subscripts)
    size = _label_sizes(terms, xs)
    return TensorType(xs[0].dtype, tuple([size[label] for label in out]))


@contraction.vjp
def _(g: Tensor, y: Tensor, *xs: Tensor, subscripts: str) -> tuple[Tensor, ...]:
    terms, out = _split(subscripts)
    size = _label_sizes(terms, [x.type for x in xs])
    narrow = [_narrowed(x, term, size) for x, term in zip(xs, terms, strict=True)]
    return tuple([_operand_gradient(i, g, out, narrow, x, size) for i, x in enumerate(xs)])


def _operand_gradient(i: int, g: Tensor, out: str, narrow: list[tuple[Tensor, str]], x: Tensor, size: Mapping[str, Dim]) -> Tensor:
    """The contraction of ``g`` with the other operands; labels that nobody else has are repeated, diagonals put back in their place."""
    term = narrow[i][1]
    others = [(g, out), *((_conjugated(other), labels) for j, (other, labels) in enumerate(narrow) if j != i)]
    own = "".join(dict.fromkeys(term))
    known = "".join(label for label in own if any(label in labels for _, labels in others))
    share = _contracted(others, known)
    lone = tuple([place for place, label in enumerate(own) if label not in known])
    if lone:
        share = broadcast_to(expand_dims(share, axis=lone), shape=tuple([size[label] for label in own]))
    share = share if own == term else on_diagonals(share, subscripts=f"{own}->{term}")
    return share if share.shape == x.shape else reshape(share, x.shape)


def _contracted(operands: Sequence[tuple[Tensor, str]], out: str) -> Tensor:
    """A contraction as a node, or as sums and transpositions where there is one operand without diagonals."""
    terms = [labels for _, labels in operands]
    if len(operands) == 1 and len(set(terms[0])) == len(terms[0]):
        return _arranged(_summed(*operands[0], out), out)
    return contraction([x for x, _ in operands], subscripts=_joined(terms, out))


def _conjugated(x: Tensor) -> Tensor:
    return conj(x) if dtypes.is_complex(x.dtype) else x


@contraction.vmap
def _(mapped: Sequence[bool], *xs: Tensor, subscripts: str) -> Tensor:
    terms, out = _split(subscripts)
    stack = next(label for label in LETTERS if label not in subscripts)
    return contraction(list(xs), subscripts=_joined([stack * on + term for on, term in zip(mapped, terms, strict=True)], stack + out))


@contraction.decompose
def _(*xs: Tensor, subscripts: str) -> Tensor:
    terms, out = _split(subscripts)
    size = _label_sizes(terms, [x.type for x in xs])
    operands = [_distinct(*_narrowed(x, term, size)) for x, term in zip(xs, terms, strict=True)]
    labels = [term for _, term in operands]

    def visit(tree: Tree) -> tuple[tuple[Tensor, str], set[int]]:
        if isinstance(tree, int):
            return operands[tree], {tree}
        (a, used_a), (b, used_b) = visit(tree[0]), visit(tree[1])
        used = used_a | used_b
        wanted = [out, *(term for i, term in enumerate(labels) if i not in used)]
        return _pair(a, b, "".join(dict.fromkeys("".join(wanted)))), used

    result, _ = visit(_tree(tuple(labels), out, _numbers(size)))
    return _arranged(_summed(*result, out), out)


def _narrowed(x: Tensor, term: str, size: Mapping[str, Dim]) -> tuple[Tensor, str]:
    kept = _kept(term, x.shape, size)
    return (x, term) if kept == term else (reshape(x, tuple([size[label] for label in kept])), kept)


def _distinct(x: Tensor, term: str) -> tuple[Tensor, str]:
    own = "".join(dict.fromkeys(term))
    return (x, term) if own == term else (diagonals(x, subscripts=f"{term}->{own}"), own)


def _summed(x: Tensor, term: str, wanted: Iterable[str]) -> tuple[Tensor, str]:
    """The sum over the labels that nobody wants; in the dtype of ``x``, as einsum has it."""
    kept = "".join(label for label in term if label in wanted)
    gone = tuple([i for i, label in enumerate(term) if label not in kept])
    return (as_dtype(sum_over(x, axis=gone), x.dtype), kept) if gone else (x, term)


def _arranged(operand: tuple[Tensor, str] | Any, out: str) -> Tensor:
    x, term = operand
    return x if term == out else transpose(x, axes=tuple([term.index(label) for label in out]))


def _pair(a: tuple[Tensor, str], b: tuple[Tensor, str], wanted: str) -> tuple[Tensor, str]:
    """Two operands as one, with the wanted labels: a product of matrices, stacked along the labels that both have and that stay."""
    a, b = _summed(*a, {*b[1], *wanted}), _summed(*b, {*a[1], *wanted})
    inner = "".join(label for label in a[1] if label in b[1] and label not in wanted)
    if not inner:
        labels = "".join(label for label in wanted if label in a[1] + b[1])
        return multiply(_aligned(a, labels), _aligned(b, labels)), labels
    batch = "".join(label for label in wanted if label in a[1] and label in b[1])
    rows, columns = (_ordered(x, wanted, inner + batch) for x in (a[1], b[1]))
    if rows and columns and wanted.index(rows[-1]) > wanted.index(columns[-1]):
        a, b, rows, columns = b, a, columns, rows  # so that the last axis need not be moved afterwards
    labels = batch + rows + columns
    known = dict(zip(a[1] + b[1], a[0].shape + b[0].shape, strict=True))
    product = matmul(_matrix(a, batch, rows, inner), _matrix(b, batch, inner, columns))
    shape = tuple([known[label] for label in labels])
    return product if product.shape == shape else reshape(product, shape), labels


def _ordered(term: str, wanted: str, without: str) -> str:
    return "".join(sorted((label for label in term if label not in without), key=wanted.index))


def _aligned(operand: tuple[Tensor, str], labels: str) -> Tensor:
    """The axes in the order of the labels, with size 1 where there is none."""
    own = "".join(label for label in labels if label in operand[1])
    x = _arranged(operand, own)
    missing = tuple([i for i, label in enumerate(labels) if label not in own])
    return expand_dims(x, axis=missing) if missing and own else x


def _matrix(operand: tuple[Tensor, str], batch: str, rows: str, columns: str) -> Tensor:
    """A stack of matrices; a vector where there is no batch and one side is empty."""
    known = dict(zip(operand[1], operand[0].shape, strict=True))
    x = _arranged(operand, batch + rows + columns)
    sides = [sizes.product(tuple([known[label] for label in side])) for side in (rows, columns) if side or batch]
    shape = (*[known[label] for label in batch], *sides)
    return x if x.shape == shape else reshape(x, shape)


# ---------------------------------------------------------------- diagonals
def _as_is(value: Any, types: tuple[TensorType, ...]) -> str:
    return str(value)


_Subscripts = Annotated[str, _as_is]


@op(
    "xp.einsum($subscripts, $x)",
    view=True,
    linear=("x",),
    flops=0,
    text="diagonals($x, $subscripts)",
    group="internal",
    cases=(case((3, 3), subscripts="aa->a"), case((2, 3, 2), subscripts="aba->ab"), case((2, 2, 3, 2, 3), subscripts="aabab->ab")),
)
def diagonals(x: TensorType, *, subscripts: _Subscripts) -> TensorType:
    """The elements whose indices are equal along the axes with one label: ``aab->ab``."""
    (term,), out = _split(subscripts)
    return x.with_shape(tuple([x.shape[term.index(label)] for label in out]))


@diagonals.vjp
def _(g: Tensor, y: Tensor, x: Tensor, subscripts: str) -> tuple[Tensor]:
    (term,), out = _split(subscripts)
    return (on_diagonals(g, subscripts=f"{out}->{term}"),)


@diagonals.vmap
def _(mapped: Sequence[bool], x: Tensor, subscripts: str) -> Tensor:
    return diagonals(x, subscripts=_stacked(subscripts))


@op(
    "on_diagonals($x, $subscripts)",
    helper='''
def on_diagonals(x, subscripts):
    """Zeros, but for x where the indices of axes with one label are equal."""
    labels, _, term = subscripts.partition("->")
    y = np.zeros([x.shape[labels.index(label)] for label in term], x.dtype)
    np.einsum(term + "->" + labels, y)[...] = x
    return y
''',
    jax_helper='''
def on_diagonals(x, subscripts):
    """Zeros, but for x where the indices of axes with one label are equal."""
    labels, _, term = subscripts.partition("->")
    shape = [x.shape[labels.index(label)] for label in term]
    first = [term.index(label) for label in labels]
    on = jnp.ones((), bool)
    for axis, label in enumerate(term):
        if axis not in first:
            on = on & (jax.lax.broadcasted_iota(int, shape, axis) == jax.lax.broadcasted_iota(int, shape, term.index(label)))
    order = sorted(range(len(first)), key=first.__getitem__)
    spread = jnp.transpose(x, order).reshape([shape[i] if i in first else 1 for i in range(len(shape))])
    return jnp.where(on, spread, jnp.zeros((), x.dtype))
''',
    linear=("x",),
    flops=0,
    text="on_diagonals($x, $subscripts)",
    group="internal",
    cases=(case((3,), subscripts="a->aa"), case((2, 3), subscripts="ab->aba"), case((2, 3), subscripts="ba->aabab")),
)
def on_diagonals(x: TensorType, *, subscripts: _Subscripts) -> TensorType:
    """Zeros, but for ``x`` where the indices of axes with one label are equal, ``ab->aab``: the adjoint of ``diagonals``."""
    (labels,), term = _split(subscripts)
    return x.with_shape(tuple([x.shape[labels.index(label)] for label in term]))


@on_diagonals.vjp
def _(g: Tensor, y: Tensor, x: Tensor, subscripts: str) -> tuple[Tensor]:
    (labels,), term = _split(subscripts)
    return (diagonals(g, subscripts=f"{term}->{labels}"),)


@on_diagonals.vmap
def _(mapped: Sequence[bool], x: Tensor, subscripts: str) -> Tensor:
    return on_diagonals(x, subscripts=_stacked(subscripts))


def _stacked(subscripts: str) -> str:
    """The subscripts with one more label in front of both sides."""
    label = next(label for label in LETTERS if label not in subscripts)
    return label + subscripts.replace("->", f"->{label}")


# ---------------------------------------------------------------- the order of contraction
def _open(terms: Sequence[str], out: str, used: Iterable[int]) -> set[str]:
    """The labels that the product of these operands has to keep: those of the output and of the other operands."""
    used = set(used)
    outside = {*out, *(label for i, term in enumerate(terms) if i not in used for label in term)}
    return {label for i in used for label in terms[i] if label in outside}


@functools.lru_cache(maxsize=1024)
def _tree(terms: tuple[str, ...], out: str, numbers: tuple[tuple[str, int], ...]) -> Tree:
    """The cheapest order in which to contract the operands two by two, as opt_einsum finds it (Smith and Gray, 2018)."""
    trees: list[Tree] = list(range(len(terms)))
    for places in _path(terms, out, numbers) if len(terms) > 2 else [range(len(terms))]:
        taken: list[Tree] = [trees[place] for place in places]
        trees = [tree for place, tree in enumerate(trees) if place not in places]
        trees.append(functools.reduce(_paired, taken))
    return trees[0]


def _paired(a: Tree, b: Tree) -> Tree:
    return a, b


def _path(terms: tuple[str, ...], out: str, numbers: tuple[tuple[str, int], ...]) -> Sequence[Sequence[int]]:
    """Which of the operands that are left to contract next, their result being the last, again and again."""
    from opt_einsum import paths  # pyright: ignore[reportMissingTypeStubs]  # costs 10 ms, and only contractions of several tensors need it

    count = {label: max(number, 1) for label, number in numbers}
    find: Any = paths.greedy if len(terms) > EXACT else paths.DynamicProgramming("flops", search_outer=len(terms) <= EXHAUSTIVE)
    return find([frozenset(term) for term in terms], frozenset(out), count)


# ---------------------------------------------------------------- what users call
def einsum(subscripts: Any, *operands: Any) -> Tensor:
    """A sum of products over named axes (Einstein's convention), as NumPy has it.

    A label stands for the axes of one size, or 1, which is repeated. Labels that the output does not have are summed over; one that
    an operand has twice is its diagonal; ``...`` are the axes without labels, which broadcast. Without ``->`` the output has the axes
    of ``...`` and then, sorted, the labels that occur once.

    Args:
        subscripts: such as ``"ij,jk->ik"``; or the first operand, where a list of whole numbers follows each operand, and one more
            may come last for the output: ``einsum(a, [0, 1], b, [1, 2], [0, 2])``.
        operands: a tensor for each term.

    Raises:
        ArgumentError: the subscripts are malformed, or the output has a label that no operand has.
        ShapeError: a term has another number of axes than its operand, or a label has two sizes.
    """
    if not isinstance(subscripts, str):
        subscripts, operands = _interleaved((subscripts, *operands))
    if not operands:
        raise ArgumentError(f"einsum({subscripts!r}): there is nothing to contract", fits="a tensor for each term")
    return contraction(list(operands), subscripts=subscripts)


def _interleaved(arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    count = len(arguments) // 2
    terms = [_written(labels) for labels in arguments[1 : 2 * count : 2]]
    text = ",".join(terms)
    if len(arguments) % 2:
        text += "->" + _written(arguments[-1])
    return text, arguments[: 2 * count : 2]


def _written(labels: Any) -> str:
    if isinstance(labels, list | tuple):
        items = cast("Sequence[Any]", labels)
        if all(item is Ellipsis or (isinstance(item, int) and 0 <= item < len(ORDERED)) for item in items):
            return "".join("..." if item is Ellipsis else ORDERED[item] for item in items)
    raise ArgumentError(f"einsum: {labels!r} are no labels", fits=f"subscripts as a text, or a list of numbers below {len(ORDERED)}")


def _refused(kind: type[GraphcError], asked: str, operands: Mapping[str, Tensor], fits: str) -> GraphcError:
    return kind(asked, given=[f"{name}: {describe(x)}" for name, x in operands.items()], fits=fits)


def _together(a: Any, b: Any) -> tuple[Tensor, Tensor]:
    """Two operands in the dtype in which they meet."""
    dtype = common_dtype((a, b))
    return as_dtype(a, dtype), as_dtype(b, dtype)


def tensordot(a: Any, b: Any, axes: Any = 2) -> Tensor:
    """Sum of products over axes of two tensors: the last ``axes`` of ``a`` with the first of ``b``, or a pair of axes or lists of axes.

    The result has the other axes of ``a`` and then those of ``b``.

    Raises:
        ArgumentError: an axis is not there, or the lists differ in length. ShapeError: two axes differ in size.
    """
    a, b = _together(a, b)
    name = f"tensordot(a, b, axes={axes})"
    try:
        first, second = _axis_pairs(a, b, axes)
    except ArgumentError as error:
        raise _refused(ArgumentError, f"{name}: {error.asked}", {"a": a, "b": b}, error.fits) from None
    for i, j in zip(first, second, strict=True):
        if a.shape[i] != b.shape[j]:
            asked = f"{name}: axis {i} of a is {a.shape[i]}, axis {j} of b is {b.shape[j]}"
            raise _refused(ShapeError, asked, {"a": a, "b": b}, "axes of equal sizes")
    left = LETTERS[: a.ndim]
    shared = {j: left[i] for i, j in zip(first, second, strict=True)}
    right = "".join(shared.get(j, LETTERS[a.ndim + j]) for j in range(b.ndim))
    out = [label for label in left + right if label not in shared.values()]
    return contraction([a, b], subscripts=_joined([left, right], "".join(out)))


def _axis_pairs(a: Tensor, b: Tensor, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    if isinstance(axes, int):
        if not 0 <= axes <= min(a.ndim, b.ndim):
            raise ArgumentError(f"{axes} axes cannot be summed over", fits=f"0 to {min(a.ndim, b.ndim)}")
        return tuple(range(a.ndim - axes, a.ndim)), tuple(range(axes))
    if not isinstance(axes, list | tuple) or len(cast("Sequence[Any]", axes)) != 2:
        raise ArgumentError(f"{axes!r} are no axes", fits="a number, or axes of a and axes of b")
    first, second = (tuple([axis_of(axis, x.ndim) for axis in several(own)]) for own, x in zip(cast("Any", axes), (a, b), strict=True))
    if len(first) != len(second) or len(set(first)) < len(first) or len(set(second)) < len(second):
        raise ArgumentError(f"{axes} do not pair axes", fits="as many axes of a as of b, each once")
    return first, second


def dot(a: Any, b: Any) -> Tensor:
    """NumPy's ``dot``: a multiple, an inner product or a product of matrices; of more axes, the sum over the last of ``a`` and the last
    but one of ``b``.
    """
    a, b = _together(a, b)
    if 0 in (a.ndim, b.ndim):
        return multiply(a, b)
    return matmul(a, b) if max(a.ndim, b.ndim) <= 2 or b.ndim == 1 else tensordot(a, b, axes=(-1, -2))


def inner(a: Any, b: Any) -> Tensor:
    """Sum of products over the last axes of both; a product of numbers where one has no axis."""
    a, b = _together(a, b)
    return multiply(a, b) if 0 in (a.ndim, b.ndim) else tensordot(a, b, axes=(-1, -1))


def vdot(a: Any, b: Any) -> Tensor:
    """Sum of the products of all elements, with ``a`` conjugated where it is complex."""
    a, b = _together(a, b)
    if a.size != b.size:
        raise _refused(ShapeError, f"vdot(a, b): {a.size} elements and {b.size}", {"a": a, "b": b}, "as many elements in both")
    return matmul(reshape(_conjugated(a), (-1,)), reshape(b, (-1,)))


def outer(a: Any, b: Any) -> Tensor:
    """The product of each element of ``a`` and each of ``b``, as a matrix; both are flattened."""
    a, b = _together(a, b)
    return multiply(reshape(a, (a.size, 1)), reshape(b, (1, b.size)))


def kron(a: Any, b: Any) -> Tensor:
    """Kronecker's product: each element of ``a`` times all of ``b``, in blocks."""
    a, b = _together(a, b)
    ndim = max(a.ndim, b.ndim)
    rows, columns = ((1,) * (ndim - x.ndim) + x.shape for x in (a, b))
    blocks = multiply(reshape(a, _interlaced(rows, (1,) * ndim)), reshape(b, _interlaced((1,) * ndim, columns)))
    return reshape(blocks, tuple([m * n for m, n in zip(rows, columns, strict=True)]))


def _interlaced(rows: Shape, columns: Shape) -> Shape:
    return tuple([size for pair in zip(rows, columns, strict=True) for size in pair])
