"""Special functions: SciPy's on NumPy, ``jax.scipy.special``'s on JAX, and families that are closed under differentiation."""

# A row is made of lambdas, whose parameters the type checker cannot know; Op checks them when the row is read.
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false

from __future__ import annotations

import math
from typing import Any

from graphc.core import Op, Tensor, TensorType, case, dtypes, register, sizes
from graphc.core.errors import ArgumentError
from graphc.core.sizes import Dim
from graphc.ops import pointwise as p

__all__ = [
    "betaln",
    "digamma",
    "erf",
    "erfc",
    "erfinv",
    "gelu",
    "i0",
    "i1",
    "lgamma",
    "ndtr",
    "polygamma",
]


def _scipy(call: str) -> dict[str, Any]:
    """The source of a SciPy function."""
    return {"emit": f"special.{call}", "out": f"special.{call[:-1]}, out=$out)", "imports": "from scipy import special"}


# ---------------------------------------------------------------- the normal distribution
def _gaussian_type(x: TensorType, *, rate: float = 1.0) -> TensorType:
    """``exp(-rate * x**2)`` to the last place: a rounded square would cost it ``rate * x**2`` of them (Cephes, ``expx2``)."""
    return x


gaussian = p.family(
    "gaussian",
    _gaussian_type,
    flops=15,
    d=lambda y, x, rate: -2 * rate * x * y,
    sympy="exp(-rate * x**2)",
    cases=(case((3,), rate=0.5), case((3,), rate=-1.0)),
    group="special",
)


@gaussian.decompose
def _(x: Tensor, rate: float) -> Tensor:
    near = p.round(p.clip(x, -64, 64) * 16) / 16  # so few bits that its square is exact
    rest = p.expm1(-rate * ((x - near) * (x + near)))  # not exp, which XLA would join with the other one, and round their sum
    return p.exp(-rate * p.square(near)) * (1 + rest)


def _special(name: str, title: str, call: str, *, d: Any, **fields: Any) -> Op:
    """Declare a special function of one operand."""
    fields.setdefault("flops", 20)
    return p.unary(name, title, d=d, **(_scipy(call) | fields))


erf = _special(
    "erf",
    "Error function, ``2 / sqrt(pi)`` times the integral of ``exp(-t**2)`` from 0 to ``x``.",
    "erf($x)",
    jax="jax.scipy.special.erf($x)",
    d=lambda y, x: 2 / math.sqrt(math.pi) * gaussian(x),
    sympy="erf(x)",
)
erfc = _special(
    "erfc",
    "``1 - erf(x)`` without cancellation.",
    "erfc($x)",
    jax="jax.scipy.special.erfc($x)",
    d=lambda y, x: -2 / math.sqrt(math.pi) * gaussian(x),
    sympy="erfc(x)",
)
erfinv = _special(
    "erfinv",
    "Inverse of ``erf``: infinite at -1 and 1, NaN outside.",
    "erfinv($x)",
    jax="jax.scipy.special.erfinv($x)",
    d=lambda y, x: math.sqrt(math.pi) / 2 * gaussian(y, rate=-1.0),
    domain=((-0.9, 0.9),),
    sympy="erfinv(x)",
    tex=r"\operatorname{erf}^{-1}($x)",
)
ndtr = _special(
    "ndtr",
    "Distribution function of the standard normal distribution, ``erfc(-x / sqrt(2)) / 2``.",
    "ndtr($x)",
    jax=f"0.5 * jax.scipy.special.erfc(-{math.sqrt(0.5)} * $x)",
    d=lambda y, x: gaussian(x, rate=0.5) / math.sqrt(2 * math.pi),
    sympy="erfc(-x / sqrt(2)) / 2",
    text="Φ($x)",
    tex=r"\Phi($x)",
)


def _gelu_type(x: TensorType, *, approximate: bool = False) -> TensorType:
    """``x`` times the normal distribution function of ``x`` (Hendrycks and Gimpel, 2016).

    ``approximate`` puts ``(1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2`` in the place of the distribution function.
    """
    return x


def _gelu_flops(node: Tensor) -> Dim:
    return node.size * (12 if node.attributes["approximate"] else 21)


gelu = p.family(
    "gelu",
    _gelu_type,
    jax="jax.nn.gelu($x, approximate=$approximate)",
    flops=_gelu_flops,
    precision="promote",
    d=lambda y, x, approximate: _gelu_slope(x, approximate),
    sympy="x * erfc(-x / sqrt(2)) / 2",
    cases=(case((2, 3), approximate=True), case((0,), approximate=True)),
)


@gelu.decompose
def _(x: Tensor, approximate: bool) -> Tensor:
    return x * (p.sigmoid(_gelu_cubic(x)) if approximate else ndtr(x))


def _gelu_slope(x: Tensor, approximate: bool) -> Tensor:
    if not approximate:
        return ndtr(x) + x * gaussian(x, rate=0.5) / math.sqrt(2 * math.pi)
    u = _gelu_cubic(x)
    steep = 2 * math.sqrt(2 / math.pi) * (1 + 3 * 0.044715 * p.square(_bounded(x)))
    return p.sigmoid(u) * (1 + x * steep * p.sigmoid(-u))


def _gelu_cubic(x: Tensor) -> Tensor:
    """What ``sigmoid`` is taken of: ``(1 + tanh(u)) / 2`` is ``sigmoid(2 * u)``, which does not cancel."""
    x = _bounded(x)
    return 2 * math.sqrt(2 / math.pi) * (x + 0.044715 * (x * p.square(x)))


def _bounded(x: Tensor) -> Tensor:
    """Cubes overflow float16 above 40, where the sigmoid has long been 0 or 1."""
    return p.clip(x, -30, 30)


# ---------------------------------------------------------------- the gamma function
lgamma = _special(
    "lgamma",
    "Logarithm of ``|gamma(x)|``; inf at 0, -1, -2 ...",
    "gammaln($x)",
    jax="jax.scipy.special.gammaln($x)",
    d=lambda y, x: digamma(x),
    domain=((0.2, 4.0),),
    sympy="loggamma(x)",
    tex=r"\log\Gamma($x)",
)
digamma = _special(
    "digamma",
    "Derivative of ``lgamma``; NaN at -1, -2 ..., and infinite at 0, with the sign that the other side of it has.",
    "digamma($x)",
    jax="xp.where($x == 0, -1 / $x, jax.scipy.special.digamma($x))",
    d=lambda y, x: _polygamma(x, n=1),
    domain=((0.2, 4.0),),
    sympy="digamma(x)",
    text="ψ($x)",
    tex=r"\psi($x)",
)


def _polygamma_type(x: TensorType, *, n: int = 1) -> TensorType:
    """The derivative of order ``n`` of ``digamma``; infinite at 0, -1, -2 ...

    Negative ``x`` go by the reflection formula (NIST DLMF 5.15.6).
    """
    if n < 0:
        raise ArgumentError(f"n is {n}", fits="0 for digamma itself, 1, 2 ...")
    return x


def _polygamma_flops(node: Tensor) -> Dim:
    return node.size * (68 if node.attributes["n"] else 20)


_polygamma = p.family(
    "polygamma",
    _polygamma_type,
    domain=((0.2, 4.0),),
    flops=_polygamma_flops,
    d=lambda y, x, n: _polygamma(x, n=n + 1),
    sympy="polygamma(n, x)",
    ulps=8,
    text="ψ⁽$n⁾($x)",
    tex=r"\psi^{($n)}($x)",
    cases=tuple([case((2, 3), n=n) for n in (0, 2, 3)]),
    group="special",
)


def polygamma(n: int, x: Any) -> Any:
    """The derivative of order ``n`` of ``digamma``, with SciPy's order of arguments; infinite at 0, -1, -2 ..."""
    return _polygamma(x, n=n)


@_polygamma.decompose
def _(x: Tensor, n: int) -> Tensor:
    if n == 0:
        return digamma(x)
    if dtypes.itemsize(x.dtype) < 4:  # JAX has zeta of float32 and float64 alone
        return p.cast(_polygamma(p.cast(x, dtype="float32"), n=n), dtype=x.dtype)
    positive, sign = x > 0, (-1) ** (n + 1)
    right = float(sign * math.factorial(n)) * zeta(p.where(positive, x, 1 - x), s=n + 1.0)
    reflected = -sign * right - math.pi ** (n + 1) * _cotangent_derivative(x, n)
    return p.where(positive, right, p.where(p.equal(x, p.round(x)), sign * math.inf, reflected))


def _cotangent_derivative(x: Tensor, n: int) -> Tensor:
    """The derivative of order ``n`` of ``cot(z)`` at ``z = pi * x``: a polynomial in ``c = cot(z)``, since ``c' = -1 - c**2``."""
    place = x - p.round(x)
    size = p.abs(place)
    c = p.sign(place) * p.where(size < 0.25, p.reciprocal(p.tan(math.pi * size)), p.tan(math.pi * (0.5 - size)))  # exactly 0 at 1/2
    weights = [0, 1]
    for _ in range(n):
        slope = [k * w for k, w in enumerate(weights)][1:]
        weights = [-a - b for a, b in zip([*slope, 0, 0], [0, 0, *slope], strict=True)]
    total: Any = 0.0
    for weight in reversed(weights[(n + 1) % 2 :: 2]):  # only every second power occurs, and all with one sign
        total = float(weight) + p.square(c) * total
    return total if n % 2 else c * total


def _zeta_type(x: TensorType, *, s: float = 2.0) -> TensorType:
    """Hurwitz's zeta function, the sum of ``(x + k)**-s`` over k = 0, 1, 2 ... for positive ``x`` and ``s > 1``."""
    return x


zeta = p.family(
    "zeta",
    _zeta_type,
    jax="jax.scipy.special.zeta($s, $x)",
    domain=((0.2, 4.0),),
    flops=40,
    d=lambda y, x, s: -s * zeta(x, s=s + 1),
    tex=r"\zeta($s, $x)",
    text="ζ($s, $x)",
    compute=lambda dtype: dtypes.promote(dtypes.floating(dtype), "float32"),
    group="special",
    **_scipy("zeta($s, $x)"),
)


# ---------------------------------------------------------------- the beta function
def _two_type(a: TensorType, b: TensorType, *, n: int = 0) -> TensorType:
    """The polygamma function of order ``n`` at ``a + b`` less that at ``a``, for positive ``a`` and ``b``; NaN elsewhere.

    A sum of differences of powers (Euler and Maclaurin's, NIST DLMF 25.11.43), each taken without cancellation.
    """
    return TensorType(a.dtype, sizes.broadcast([a.shape, b.shape]))


_RISE = '''
def polygamma_rise(a, b, n):
    """psi_n(a + b) - psi_n(a) for positive a and b: terms one by one up to a + 12, then Euler and Maclaurin's sum."""

    def drop(x, m):
        return -xp.expm1(-m * xp.log1p(b / x)) / x ** (m // 2) / x ** (m - m // 2)

    s, far = n + 1, a + 12
    total = drop(far, s) / 2 + (drop(far, n) / n if n else xp.log1p(b / far))
    rising, m = s, s + 1
    for weight in (1/12, -1/720, 1/30240, -1/1209600, 1/47900160, -691/1307674368000, 1/74724249600):
        total = total + weight * rising * drop(far, m)
        rising, m = rising * m * (m + 1), m + 2
    for k in range(12):
        total = total + drop(a + k, s)
    for k in range(1, s):
        total = -k * total
    return xp.where((a > 0) & (b > 0), total, xp.nan)
'''
polygamma_rise = register(
    "polygamma_rise",
    _two_type,
    emit="polygamma_rise($a, $b, $n)",
    helper=_RISE.replace("xp.", "np."),
    jax_helper=_RISE.replace("xp.", "jnp."),
    pointwise=True,
    promote=("a", "b"),
    compute=dtypes.floating,
    group="special",
    domain=((0.2, 4.0), (0.2, 4.0)),
    flops=120,
    partials=(
        lambda y, a, b, n: polygamma_rise(a, b, n=n + 1),
        lambda y, a, b, n: p.where(p.isnan(y), math.nan, _polygamma(a + b, n=n + 1)),
    ),
    sympy="polygamma(n, a + b) - polygamma(n, a)",
    cases=(case((2, 3), (3,), n=1), case((3,), (3,), n=2)),
    ulps=8,
)
betaln = p.binary(
    "betaln",
    "Logarithm of the beta function, ``lgamma(a) + lgamma(b) - lgamma(a + b)``; its gradient is NaN unless both are positive.",
    "special.betaln($a, $b)",
    out="special.betaln($a, $b, out=$out)",
    imports="from scipy import special",
    jax="betaln($a, $b)",
    jax_helper='''
def betaln(a, b):
    """log(gamma(a) gamma(b) / gamma(a + b)): where b is large by Stirling's series (Didonato and Morris, 1992)."""
    a, b = jnp.minimum(a, b), jnp.maximum(a, b)
    gammaln = jax.scipy.special.gammaln

    def rest(x):
        total = 0.0
        for weight in (1/156, -691/360360, 1/1188, -1/1680, 1/1260, -1/360, 1/12):
            total = weight + total / x / x
        return total / x

    change = rest(b) - rest(a + b)
    one = gammaln(a) - (b - 0.5) * jnp.log1p(a / b) - a * (jnp.log(a + b) - 1) + change
    two = 0.5 * jnp.log(2 * jnp.pi / b) - (a - 0.5) * jnp.log1p(b / a) - b * jnp.log1p(a / b) + rest(a) + change
    few = gammaln(a) + gammaln(b) - gammaln(a + b)
    return jnp.where((a > 0) & (b > 10), jnp.where(a > 10, two, one), few)
''',
    d=(lambda y, a, b: -polygamma_rise(a, b), lambda y, a, b: -polygamma_rise(b, a)),
    compute=dtypes.floating,
    domain=((0.2, 4.0), (0.2, 4.0)),
    sympy="loggamma(a) + loggamma(b) - loggamma(a + b)",
    tex=r"\log \mathrm{B}($a, $b)",
    laws=("commutative",),
    flops=60,
)

# ---------------------------------------------------------------- modified Bessel functions
i0 = _special(
    "i0",
    "Modified Bessel function of the first kind, order 0.",
    "i0($x)",
    jax="jax.scipy.special.i0($x)",
    d=lambda y, x: i1(x),
    sympy="besseli(0, x)",
    tex="I_0($x)",
)
i1 = _special(
    "i1",
    "Modified Bessel function of the first kind, order 1.",
    "i1($x)",
    jax="jax.scipy.special.i1($x)",
    d=lambda y, x: 0.5 * (i0(x) + bessel_i(x, n=2)),
    sympy="besseli(1, x)",
    tex="I_1($x)",
)


def _bessel_type(x: TensorType, *, n: int = 2) -> TensorType:
    """Modified Bessel function of the first kind, of a whole order ``n``."""
    return x


bessel_i = p.family(
    "bessel_i",
    _bessel_type,
    jax="bessel_i($x, $n)",
    jax_helper='''
def bessel_i(x, n):
    """I_n(x): near 0 the power series, farther out from I_0 and I_1 by recurrence, scaled by exp(-|x|)."""
    term = 1.0
    for k in range(1, n + 1):
        term = term * x / (2 * k)
    total = term
    for k in range(1, 32):
        term = term * (x / 2) ** 2 / (k * (n + k))
        total = total + term
    below, own = jax.scipy.special.i0e(x), jax.scipy.special.i1e(x)
    for k in range(1, n):
        below, own = own, below - 2 * k / x * own
    half = jnp.exp(jnp.abs(x) / 2)
    return jnp.where(jnp.abs(x) < 10, total, own * half * half)
''',
    flops=40,
    d=lambda y, x, n: 0.5 * ((i1(x) if n == 2 else bessel_i(x, n=n - 1)) + bessel_i(x, n=n + 1)),
    sympy="besseli(n, x)",
    tex="I_{$n}($x)",
    text="I_$n($x)",
    cases=(case((2, 3), n=3),),
    group="special",
    **_scipy("iv($n, $x)"),
)
