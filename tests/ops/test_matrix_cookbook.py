"""Gradients beside the closed forms of The Matrix Cookbook (Petersen and Pedersen, version of November 15, 2012).

Each row has the number of the equation, the expression in graphc, the closed form in NumPy, and which letter is differentiated by: the
square ``X``, its symmetric ``S``, the tall ``Y``, the vector ``x``. All the other letters are constants.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.linalg

import graphc as gc

_rng = np.random.default_rng(11)
LETTERS: dict[str, Any] = {
    "X": _rng.normal(size=(3, 3)) + 2 * np.eye(3),
    "Y": _rng.normal(size=(4, 3)),
    "x": _rng.normal(size=3),
    **{name: _rng.normal(size=(3, 3)) for name in "ABCD"},
    **{name: _rng.normal(size=3) for name in "abcds"},
    "E": _rng.normal(size=(4, 4)),
}
LETTERS["S"] = LETTERS["X"] @ LETTERS["X"].T + np.eye(3)
LETTERS["W"] = LETTERS["C"] + LETTERS["C"].T
LETTERS["F"] = LETTERS["E"] @ LETTERS["E"].T + np.eye(4)
LETTERS["G"] = LETTERS["E"] + LETTERS["E"].T
N = SimpleNamespace(**LETTERS)

inv, det, tr, power = np.linalg.inv, np.linalg.det, np.trace, np.linalg.matrix_power


@dataclass(frozen=True)
class Row:
    """One identity: ``y`` is built from a namespace of tensors, ``gradient`` computed from one of arrays."""

    number: str
    title: str
    by: str
    y: Callable[[Any], Any]
    gradient: Callable[[Any], Any]

    def __str__(self) -> str:
        return f"({self.number}) {self.title}"


def _powers(a: Any, k: int, inner: Any) -> Any:
    """The sum of ``(a^r inner a^(k-1-r))ᵀ``."""
    return sum((power(a, r) @ inner @ power(a, k - 1 - r)).T for r in range(k))


def _unit(i: int, j: int) -> Any:
    unit = np.zeros((3, 3))
    unit[i, j] = 1
    return unit


ROWS = [
    # 2.1 determinants
    Row("49", "det X", "X", lambda t: gc.det(t.X), lambda n: det(n.X) * inv(n.X).T),
    Row("51", "det AXB", "X", lambda t: gc.det(t.A @ t.X @ t.B), lambda n: det(n.A @ n.X @ n.B) * inv(n.X).T),
    Row("52", "det X'AX, square", "X", lambda t: gc.det(t.X.T @ t.A @ t.X), lambda n: 2 * det(n.X.T @ n.A @ n.X) * inv(n.X).T),
    Row(
        "53",
        "det X'AX, tall, symmetric A",
        "Y",
        lambda t: gc.det(t.Y.T @ t.F @ t.Y),
        lambda n: 2 * det(n.Y.T @ n.F @ n.Y) * n.F @ n.Y @ inv(n.Y.T @ n.F @ n.Y),
    ),
    Row(
        "54",
        "det X'AX, tall",
        "Y",
        lambda t: gc.det(t.Y.T @ t.E @ t.Y),
        lambda n: det(n.Y.T @ n.E @ n.Y) * (n.E @ n.Y @ inv(n.Y.T @ n.E @ n.Y) + n.E.T @ n.Y @ inv(n.Y.T @ n.E.T @ n.Y)),
    ),
    Row("55", "ln det X'X", "Y", lambda t: gc.logdet(t.Y.T @ t.Y), lambda n: 2 * np.linalg.pinv(n.Y).T),
    Row("57", "ln |det X|", "X", lambda t: gc.slogdet(t.X)[1], lambda n: inv(n.X).T),
    Row("57", "ln |det X| by cholesky of XX'", "X", lambda t: gc.sum(gc.log(gc.diag(gc.cholesky(t.X @ t.X.T)))), lambda n: inv(n.X).T),
    Row("58", "det X^3", "X", lambda t: gc.det(gc.matrix_power(t.X, 3)), lambda n: 3 * det(power(n.X, 3)) * inv(n.X).T),
    # 2.2 inverses
    Row("60", "an element of the inverse", "X", lambda t: gc.inv(t.X)[0, 2], lambda n: -np.outer(inv(n.X)[0], inv(n.X)[:, 2])),
    Row("61", "a'X⁻¹b", "X", lambda t: t.a @ gc.solve(t.X, t.b), lambda n: -inv(n.X).T @ np.outer(n.a, n.b) @ inv(n.X).T),
    Row("62", "det X⁻¹", "X", lambda t: gc.det(gc.inv(t.X)), lambda n: -det(inv(n.X)) * inv(n.X).T),
    Row("63", "tr AX⁻¹B", "X", lambda t: gc.trace(t.A @ gc.solve(t.X, t.B)), lambda n: -(inv(n.X) @ n.B @ n.A @ inv(n.X)).T),
    Row("64", "tr (X+A)⁻¹", "X", lambda t: gc.trace(gc.inv(t.X + t.A)), lambda n: -power(inv(n.X + n.A), 2).T),
    # 2.3 eigenvalues
    Row("65", "sum of the eigenvalues", "S", lambda t: gc.sum(gc.eigvalsh(t.S)), lambda n: np.eye(3)),
    Row("66", "product of the eigenvalues", "S", lambda t: _product(gc.eigvalsh(t.S)), lambda n: det(n.S) * inv(n.S)),
    Row("67", "one eigenvalue", "S", lambda t: gc.eigvalsh(t.S)[1], lambda n: np.outer(_vector(n.S, 1), _vector(n.S, 1))),
    Row(
        "68",
        "squares of an eigenvector's elements, weighted",
        "S",
        lambda t: gc.sum(t.a * gc.square(gc.eigh(t.S)[1][:, 1])),
        lambda n: _of_vector(n.S, 1, 2 * n.a * _vector(n.S, 1)),
    ),
    # 2.4 linear, quadratic and higher forms
    Row("69", "x'a", "x", lambda t: t.x @ t.a, lambda n: n.a),
    Row("70", "a'Xb", "X", lambda t: t.a @ t.X @ t.b, lambda n: np.outer(n.a, n.b)),
    Row("71", "a'X'b", "X", lambda t: t.a @ t.X.T @ t.b, lambda n: np.outer(n.b, n.a)),
    Row("72", "a'Xa", "X", lambda t: t.a @ t.X @ t.a, lambda n: np.outer(n.a, n.a)),
    Row("74", "an element of XA", "X", lambda t: (t.X @ t.A)[1, 2], lambda n: np.outer([0, 1, 0], n.A[:, 2])),
    Row("76", "all products of two elements", "X", lambda t: gc.square(gc.sum(t.X)), lambda n: np.full((3, 3), 2 * n.X.sum())),
    Row("77", "b'X'Xc", "X", lambda t: t.b @ t.X.T @ t.X @ t.c, lambda n: n.X @ (np.outer(n.b, n.c) + np.outer(n.c, n.b))),
    Row(
        "78",
        "(Bx+b)'C(Dx+d)",
        "x",
        lambda t: (t.B @ t.x + t.b) @ t.C @ (t.D @ t.x + t.d),
        lambda n: n.B.T @ n.C @ (n.D @ n.x + n.d) + n.D.T @ n.C.T @ (n.B @ n.x + n.b),
    ),
    Row(
        "79", "an element of X'BX", "X", lambda t: (t.X.T @ t.B @ t.X)[0, 2], lambda n: n.B @ n.X @ _unit(2, 0) + n.B.T @ n.X @ _unit(0, 2)
    ),
    Row("81", "x'Bx", "x", lambda t: t.x @ t.B @ t.x, lambda n: (n.B + n.B.T) @ n.x),
    Row(
        "82",
        "b'X'DXc",
        "X",
        lambda t: t.b @ t.X.T @ t.D @ t.X @ t.c,
        lambda n: n.D.T @ n.X @ np.outer(n.b, n.c) + n.D @ n.X @ np.outer(n.c, n.b),
    ),
    Row(
        "83",
        "(Xb+c)'D(Xb+c)",
        "X",
        lambda t: (t.X @ t.b + t.c) @ t.D @ (t.X @ t.b + t.c),
        lambda n: np.outer((n.D + n.D.T) @ (n.X @ n.b + n.c), n.b),
    ),
    Row("84", "(a-Ax)'W(a-Ax)", "x", lambda t: _form(t.W, t.a - t.A @ t.x), lambda n: -2 * n.A.T @ n.W @ (n.a - n.A @ n.x)),
    Row("85", "(x-s)'W(x-s)", "x", lambda t: _form(t.W, t.x - t.s), lambda n: 2 * n.W @ (n.x - n.s)),
    Row("88", "(a-Xs)'W(a-Xs)", "X", lambda t: _form(t.W, t.a - t.X @ t.s), lambda n: -2 * np.outer(n.W @ (n.a - n.X @ n.s), n.s)),
    Row("91", "a'X^4b", "X", lambda t: t.a @ gc.matrix_power(t.X, 4) @ t.b, lambda n: _powers(n.X, 4, np.outer(n.b, n.a))),
    # 2.5 traces
    Row("99", "tr X", "X", lambda t: gc.trace(t.X), lambda n: np.eye(3)),
    Row("100", "tr XA", "X", lambda t: gc.trace(t.X @ t.A), lambda n: n.A.T),
    Row("101", "tr AXB", "X", lambda t: gc.trace(t.A @ t.X @ t.B), lambda n: n.A.T @ n.B.T),
    Row("102", "tr AX'B", "X", lambda t: gc.trace(t.A @ t.X.T @ t.B), lambda n: n.B @ n.A),
    Row("103", "tr X'A", "X", lambda t: gc.trace(t.X.T @ t.A), lambda n: n.A),
    Row("106", "tr X²", "X", lambda t: gc.trace(t.X @ t.X), lambda n: 2 * n.X.T),
    Row("107", "tr X²B", "X", lambda t: gc.trace(t.X @ t.X @ t.B), lambda n: (n.X @ n.B + n.B @ n.X).T),
    Row("108", "tr X'BX", "X", lambda t: gc.trace(t.X.T @ t.B @ t.X), lambda n: (n.B + n.B.T) @ n.X),
    Row("111", "tr XBX'", "X", lambda t: gc.trace(t.X @ t.B @ t.X.T), lambda n: n.X @ (n.B + n.B.T)),
    Row("114", "tr AXBX", "X", lambda t: gc.trace(t.A @ t.X @ t.B @ t.X), lambda n: n.A.T @ n.X.T @ n.B.T + n.B.T @ n.X.T @ n.A.T),
    Row("115", "tr X'X", "X", lambda t: gc.trace(t.X.T @ t.X), lambda n: 2 * n.X),
    Row(
        "116",
        "tr B'X'CXB",
        "X",
        lambda t: gc.trace(t.B.T @ t.X.T @ t.C @ t.X @ t.B),
        lambda n: (n.C + n.C.T) @ n.X @ n.B @ n.B.T,
    ),
    Row("117", "tr X'BXC", "X", lambda t: gc.trace(t.X.T @ t.B @ t.X @ t.C), lambda n: n.B @ n.X @ n.C + n.B.T @ n.X @ n.C.T),
    Row(
        "118",
        "tr AXBX'C",
        "X",
        lambda t: gc.trace(t.A @ t.X @ t.B @ t.X.T @ t.C),
        lambda n: n.A.T @ n.C.T @ n.X @ n.B.T + n.C @ n.A @ n.X @ n.B,
    ),
    Row(
        "119",
        "tr (AXB+C)(AXB+C)'",
        "X",
        lambda t: gc.trace((t.A @ t.X @ t.B + t.C) @ (t.A @ t.X @ t.B + t.C).T),
        lambda n: 2 * n.A.T @ (n.A @ n.X @ n.B + n.C) @ n.B.T,
    ),
    Row("120", "tr X tr X", "X", lambda t: gc.trace(t.X) * gc.trace(t.X), lambda n: 2 * tr(n.X) * np.eye(3)),
    Row("121", "tr X^5", "X", lambda t: gc.trace(gc.matrix_power(t.X, 5)), lambda n: 5 * power(n.X, 4).T),
    Row("122", "tr AX^4", "X", lambda t: gc.trace(t.A @ gc.matrix_power(t.X, 4)), lambda n: _powers(n.X, 4, n.A)),
    Row(
        "123",
        "tr B'X'CXX'CXB",
        "X",
        lambda t: gc.trace(t.B.T @ t.X.T @ t.C @ t.X @ t.X.T @ t.C @ t.X @ t.B),
        lambda n: (
            n.C @ n.X @ n.X.T @ n.C @ n.X @ n.B @ n.B.T
            + n.C.T @ n.X @ n.B @ n.B.T @ n.X.T @ n.C.T @ n.X
            + n.C @ n.X @ n.B @ n.B.T @ n.X.T @ n.C @ n.X
            + n.C.T @ n.X @ n.X.T @ n.C.T @ n.X @ n.B @ n.B.T
        ),
    ),
    Row("124", "tr AX⁻¹B by the inverse", "X", lambda t: gc.trace(t.A @ gc.inv(t.X) @ t.B), lambda n: -(inv(n.X) @ n.B @ n.A @ inv(n.X)).T),
    Row(
        "125",
        "tr (X'CX)⁻¹A",
        "Y",
        lambda t: gc.trace(gc.solve(t.Y.T @ t.F @ t.Y, t.A)),
        lambda n: -n.F @ n.Y @ inv(n.Y.T @ n.F @ n.Y) @ (n.A + n.A.T) @ inv(n.Y.T @ n.F @ n.Y),
    ),
    Row(
        "126",
        "tr (X'CX)⁻¹(X'BX)",
        "Y",
        lambda t: gc.trace(gc.solve(t.Y.T @ t.F @ t.Y, t.Y.T @ t.G @ t.Y)),
        lambda n: _of_quotient(n, np.zeros((3, 3))),
    ),
    Row(
        "127",
        "tr (A+X'CX)⁻¹(X'BX)",
        "Y",
        lambda t: gc.trace(gc.solve(t.S + t.Y.T @ t.F @ t.Y, t.Y.T @ t.G @ t.Y)),
        lambda n: _of_quotient(n, n.S),
    ),
    Row("128", "tr exp X, as any function", "X", lambda t: gc.trace(gc.expm(t.X)), lambda n: scipy.linalg.expm(n.X).T),
    Row("128", "tr exp AX", "X", lambda t: gc.trace(gc.expm(t.A @ t.X)), lambda n: (scipy.linalg.expm(n.A @ n.X) @ n.A).T),
    # 2.6 and 2.7 norms
    Row("129", "|x-a|", "x", lambda t: gc.sqrt(gc.sum(gc.square(t.x - t.a))), lambda n: (n.x - n.a) / np.linalg.norm(n.x - n.a)),
    Row(
        "130",
        "an element of (x-a)/|x-a|",
        "x",
        lambda t: (t.x[1] - t.a[1]) / gc.sqrt(gc.sum(gc.square(t.x - t.a))),
        lambda n: np.eye(3)[1] / np.linalg.norm(n.x - n.a) - (n.x - n.a)[1] * (n.x - n.a) / np.linalg.norm(n.x - n.a) ** 3,
    ),
    Row("131", "|x|²", "x", lambda t: gc.sum(gc.square(t.x)), lambda n: 2 * n.x),
    Row("132", "|X|² (Frobenius)", "X", lambda t: gc.square(gc.matrix_norm(t.X)), lambda n: 2 * n.X),
    # 2.8 structure: the elements on and below the diagonal are the variables
    Row("139", "tr AX, symmetric X", "X", lambda t: gc.trace(t.A @ _mirrored(t.X)), lambda n: _folded(n.A)),
    Row(
        "140",
        "det X, symmetric X",
        "S",
        lambda t: gc.det(_mirrored(t.S)),
        lambda n: det(n.S) * _folded(inv(n.S)),
    ),
    Row("141", "ln det X, symmetric X", "S", lambda t: gc.logdet(_mirrored(t.S)), lambda n: _folded(inv(n.S))),
    Row(
        "141",
        "ln det X, symmetric X, by cholesky",
        "S",
        lambda t: 2 * gc.sum(gc.log(gc.diag(gc.cholesky(_mirrored(t.S))))),
        lambda n: _folded(inv(n.S)),
    ),
    Row("142", "tr AX, diagonal X", "x", lambda t: gc.trace(t.A @ gc.diag(t.x)), lambda n: np.diag(n.A)),
]


def _product(values: Any) -> Any:
    return values[0] * values[1] * values[2]


def _form(middle: Any, x: Any) -> Any:
    return x @ middle @ x


def _vector(a: Any, i: int) -> Any:
    return np.linalg.eigh(a)[1][:, i]


def _of_vector(a: Any, i: int, g: Any) -> Any:
    """The gradient of a function of the i-th eigenvector, g its own: by ``(w I - A)⁺ dA v``, of the symmetric part."""
    w, v = np.linalg.eigh(a)
    found = np.outer(np.linalg.pinv(w[i] * np.eye(3) - a) @ g, v[:, i])
    return (found + found.T) / 2


def _of_quotient(n: Any, a: Any) -> Any:
    inner = inv(a + n.Y.T @ n.F @ n.Y)
    return -2 * n.F @ n.Y @ inner @ n.Y.T @ n.G @ n.Y @ inner + 2 * n.G @ n.Y @ inner


def _mirrored(x: Any) -> Any:
    """The symmetric matrix with this lower triangle."""
    return gc.tril(x) + gc.tril(x, k=-1).T


def _folded(a: Any) -> Any:
    return np.tril(a + a.T - a * np.eye(3))


@pytest.fixture(scope="module", params=["numpy", "jax"])
def gradients(request: pytest.FixtureRequest) -> list[Any]:
    """The gradients of all rows, from one compiled function."""
    tensors = {name: gc.input(name, value.shape, "float64") for name, value in LETTERS.items()}
    t = SimpleNamespace(**tensors)
    found = [gc.grad(row.y(t), tensors[row.by]) for row in ROWS]
    step = gc.compile(list(tensors.values()), found, backend=request.param)
    return [np.asarray(g) for g in step(*LETTERS.values())]


@pytest.mark.parametrize("index", range(len(ROWS)), ids=lambda i: str(ROWS[i]))
def test_the_gradient_is_the_closed_form(gradients: list[Any], index: int) -> None:
    expected = ROWS[index].gradient(N)
    scale = np.abs(expected).max()
    np.testing.assert_allclose(gradients[index], expected, rtol=1e-9, atol=1e-9 * scale)
