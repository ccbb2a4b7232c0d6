"""Source that the ops over windows have in common: convolution and pooling. It is NumPy's but for what is named ``JAX_``.

Each text is one or more functions of the emitted source, apart by two empty lines; what several ops need is written once.
"""

from __future__ import annotations

from typing import Final

__all__ = ["COLUMNS", "JAX_OVERLAP", "JAX_TIES", "JAX_WINDOWS", "LANDING", "REDUCED", "SPREAD", "TIES", "WINDOWS"]

SPREAD: Final = '''
def spread(x, padding, dilation, fill=0):
    """x with ``fill`` between its items and around them, in the order in memory that x has; negative padding crops."""
    if all(p == (0, 0) for p in padding) and all(d == 1 for d in dilation):
        return x
    shape = [(n - 1) * d + 1 + low + high for n, (low, high), d in zip(x.shape[1:-1], padding, dilation)]
    y = np.full_like(x, fill, shape=(x.shape[0], *shape, x.shape[-1]))
    into, out = landing(x.shape[1:-1], [low for low, _ in padding], dilation, shape)
    y[into] = x[out]
    return y


def landing(sizes, starts, steps, totals):
    """Items that land on an axis of ``total``, the first at ``start`` and the others ``step`` apart: where, and which they are."""
    into, out = [slice(None)], [slice(None)]
    for n, start, step, total in zip(sizes, starts, steps, totals):
        first = max(0, -(start // step))
        end = max(first, min(n, -((start - total) // step)))
        into.append(slice(start + first * step, max(0, start + (end - 1) * step + 1), step))
        out.append(slice(first, end))
    return tuple(into), tuple(out)
'''.strip()
"""Padding, and where items land that are some steps apart."""

_PARTS = '''
def product(sizes):
    """How many items axes of these sizes have."""
    count = 1
    for size in sizes:
        count *= size
    return count


def parts(sizes, most):
    """Slices of these leading axes that cover them, each of at most so many items, and of one at least."""
    axis = 0
    while axis < len(sizes) - 1 and product(sizes[axis + 1:]) > most:
        axis += 1
    step = max(1, most // max(1, product(sizes[axis + 1:])))
    for lead in np.ndindex(*sizes[:axis]):
        for start in range(0, sizes[axis], step):
            yield (*[slice(i, i + 1) for i in lead], slice(start, start + step))
'''.strip()

COLUMNS: Final = (
    SPREAD
    + "\n\n\n"
    + _PARTS
    + '''


def columns(x, taps, places, strides, padding, input_dilation, kernel_dilation, groups):
    """Windows of x as the rows of a matrix for each group, some at a time: pairs of a slice of (batch, *places) and its rows.

    The matrix is one buffer, as large as stays in the cache, that the next pair overwrites (Chellapilla, Puri and Simard, "High
    performance convolutional neural networks for document processing", 2006, have it whole).
    """
    n, inner = len(taps), x.shape[-1] // groups
    x = spread(x, padding, input_dilation)
    if product(taps) == product(strides) == 1:
        yield (slice(None),), np.moveaxis(x.reshape(-1, groups, inner), 1, 0)
        return
    width = inner * product(taps)
    most = max(512, 2**19 // (width * groups * x.itemsize))
    first, *steps, last = x.strides
    moves, reach = [n * s for n, s in zip(steps, strides)], [n * d for n, d in zip(steps, kernel_dilation)]
    run = 1 if last != x.itemsize else inner * taps[-1] if reach[-1] == inner * last else inner
    planes = 6 / run > 5 / places[-1] + 0.02 * moves[-1] / x.itemsize
    lead, trail = ((len(x), *places), (first, *moves)), ((*taps, inner), (*reach, last))
    (shape, apart), (rest, others) = (trail, lead) if planes else (lead, trail)
    shape, apart = (groups, *shape, *rest), (inner * last, *apart, *others)
    windows = np.lib.stride_tricks.as_strided(x, shape, apart, writeable=False)
    buffer = np.empty(groups * width * min(most, product(lead[0])), x.dtype)
    skip = (slice(None),) * (n + 2 if planes else 1)
    for part in parts(lead[0], most):
        window = windows[skip + part]
        matrix = buffer[:window.size].reshape(window.shape)
        matrix[...] = window
        yield part, matrix.reshape(groups, width, -1).swapaxes(1, 2) if planes else matrix.reshape(groups, -1, width)
'''
)
"""Windows as matrices. What decides between the orders of a matrix in memory are measured costs: of a run of items that are
beside each other in both, and of an item by the distance to the next one."""

LANDING: Final = '''
def by_landing(x, kernel, starts, steps, kernel_dilation, groups, y):
    """What each tap makes of the items, added where they land: a convolution of items that are apart without the zeros between."""
    *taps, inner, outputs = kernel.shape
    batch, *space, _ = x.shape
    outer, places = outputs // groups, y.shape[1:-1]
    weights = np.moveaxis(kernel.reshape(product(taps), inner, groups, outer), 2, 1).copy()
    most = max(512, 2**20 // ((inner * groups + outputs) * x.itemsize))
    buffer = np.empty((min(most, batch * product(space)), groups, outer), x.dtype)
    y[...] = 0
    known, lands = None, []
    for part in parts((batch, *space), most):
        rows, target = x[part], y[part[0]]
        items = rows.reshape(product(rows.shape[:-1]), groups, inner)
        made = buffer[:len(items)]
        share, by_group = made.reshape(*rows.shape[:-1], outputs), (np.moveaxis(items, 1, 0), np.moveaxis(made, 1, 0))
        if known != (part[1:], rows.shape[1:]):
            known = part[1:], rows.shape[1:]
            corner = [low + p.start * e for p, low, e in zip(part[1:], starts, steps)] + starts[len(part) - 1:]
            reach = [[t * d for t, d in zip(tap, kernel_dilation)] for tap in np.ndindex(*taps)]
            lands = [landing(rows.shape[1:-1], [c - r for c, r in zip(corner, tap)], steps, places) for tap in reach]
        for weight, (into, out) in zip(weights, lands):
            if inner == 1:
                np.multiply(items, weight[:, 0], out=made)
            else:
                np.matmul(by_group[0], weight, out=by_group[1])
            spot = target[into]
            np.add(spot, share[out], out=spot)
'''.strip()
"""Items times taps, added where they land."""
REDUCED: Final = (
    SPREAD
    + "\n\n\n"
    + _PARTS
    + '''


def places_of(space, size, strides, padding, dilation):
    """How many windows there are along each axis."""
    return [(n + low + high - (k - 1) * d - 1) // s + 1 for n, k, s, (low, high), d in zip(space, size, strides, padding, dilation)]


def reduced(combine, x, size, strides, dilation, y):
    """The items of each window combined: tap by tap, or one axis after the other where that is less."""
    n, places = len(size), y.shape[1:-1]
    by_axis = sum([k * product(places[:i + 1]) * product(x.shape[i + 2:-1]) for i, k in enumerate(size)])
    if by_axis < product(size) * product(places):
        for i in range(n):
            into = y if i == n - 1 else np.empty((*y.shape[:i + 2], *x.shape[i + 2:]), x.dtype)
            reduced(combine, x, *[tuple([v if j == i else 1 for j, v in enumerate(each)]) for each in (size, strides, dilation)], into)
            x = into
        return
    taps = [
        x[(slice(None), *[slice(t * d, t * d + (n - 1) * s + 1, s) for t, d, n, s in zip(tap, dilation, places, strides)])]
        for tap in np.ndindex(*size)
    ]
    if len(taps) == 1:
        y[...] = taps[0]
        return
    combine(taps[0], taps[1], out=y)
    for tap in taps[2:]:
        combine(y, tap, out=y)


def in_blocks(block, x, y):
    """Call ``block(low, high)`` for all of the batch, in blocks that stay in the cache, on several threads."""
    widths = [product(each.shape[1:]) * each.itemsize for each in (x, y)]
    parallel.by_rows(block, len(x), sum(widths), min(widths))()
'''
)
"""Windows reduced to one item each, or made of one, in blocks of the batch."""

WINDOWS: Final = '''
def windows(x, size, strides, padding, dilation, fill=0):
    """A copy of each window: the places, then the taps, between batch and channels."""
    n, x = len(size), spread(x, padding, (1,) * len(size), fill)
    places = [(n - (k - 1) * d - 1) // s + 1 for n, k, s, d in zip(x.shape[1:-1], size, strides, dilation)]
    first, *steps, last = x.strides
    moves, reach = [n * s for n, s in zip(steps, strides)], [n * d for n, d in zip(steps, dilation)]
    shape = (x.shape[0], *places, *size, x.shape[-1])
    return np.lib.stride_tricks.as_strided(x, shape, (first, *moves, *reach, last), writeable=False).copy()
'''
"""Copies of windows, in an array of their own."""

JAX_WINDOWS: Final = '''
def windows(x, size, strides, padding, dilation, fill=0):
    """Each window: the places, then the taps, between batch and channels."""
    n, x = len(size), jnp.pad(x, ((0, 0), *padding, (0, 0)), constant_values=fill)
    for axis in range(n, 0, -1):
        k, s, d = size[axis - 1], strides[axis - 1], dilation[axis - 1]
        reach = (x.shape[axis] - (k - 1) * d - 1) // s * s + 1
        x = jnp.stack([jax.lax.slice_in_dim(x, t * d, t * d + reach, s, axis) for t in range(k)], axis + 1)
    return jnp.transpose(x, (0, *range(1, 2 * n, 2), *range(2, 2 * n + 1, 2), 2 * n + 1))
'''
"""The same for JAX."""

JAX_TIES: Final = (
    JAX_WINDOWS
    + '''

def window_ties(x, size, strides, padding, dilation):
    """One over how many items share the largest of a window, at each of them, and 0 elsewhere and in the padding. The largest
    is taken from the very copies that it is compared with, and the first is known by its place, however XLA rounds x."""
    n, rows = len(size), windows(x, size, strides, padding, dilation, -jnp.inf)
    inside = windows(jnp.ones((1, *x.shape[1:-1], 1), bool), size, strides, padding, dilation)
    shape, count = rows.shape, 1
    for k in size:
        count *= k
    rows = rows.reshape(*shape[:n + 1], count, shape[-1])
    inside = inside.reshape(1, *shape[1:n + 1], count, 1)
    first = jnp.argmax(rows, -2, keepdims=True) == jnp.arange(count)[:, None]
    tie = (((rows == jnp.max(rows, -2, keepdims=True)) | first) & inside).astype(jnp.promote_types(x.dtype, jnp.float32))
    return (tie / jnp.maximum(jnp.sum(tie, -2, keepdims=True), 1)).astype(x.dtype).reshape(shape)
'''
)
"""The shares of the items that tie for the largest of a window, for JAX."""

JAX_OVERLAP: Final = '''

def overlap_add(x, space, strides, padding, dilation):
    """Windows added up where they came from, one axis after the other; what is in the padding is dropped."""
    n = len(space)
    for axis, (total, s, (low, _), d) in enumerate(zip(space, strides, padding, dilation), 1):
        reach, taps, y = (x.shape[axis] - 1) * s + 1, jnp.moveaxis(x, n + 1, 0), 0
        for t in range(len(taps)):
            edges = [(0, 0, 0)] * (taps.ndim - 1)
            edges[axis] = (t * d - low, total - (t * d - low) - reach, s - 1)
            y = y + jax.lax.pad(taps[t], jnp.zeros((), x.dtype), edges)
        x = y
    return x
'''
"""The adjoint of copying windows, for JAX."""

TIES: Final = (
    REDUCED
    + '''


def taps_of(x, y, size, strides, padding, dilation):
    """For each tap: where its items are in x, and of which windows y they are."""
    starts = [[t * d - low for t, d, (low, _) in zip(tap, dilation, padding)] for tap in np.ndindex(*size)]
    return [landing(y.shape[1:-1], start, strides, x.shape[1:-1]) for start in starts]


def ties_of(taps, x, y):
    """For each tap, where its item is the largest; and how many are."""
    count, ties = np.zeros(y.shape, np.uint8 if len(taps) < 256 else np.int32), []
    for items, of in taps:
        tie, spot = np.equal(x[items], y[of]), count[of]
        np.add(spot, tie.view(np.uint8), out=spot)
        ties.append(tie.view(np.int8))
    return ties, count


def bits_of(x):
    """x as integers of its width: a choice between a number and 0 is made faster with the bits than with a condition."""
    return x.view(f"i{x.itemsize}")


def shared(x, count):
    """x over so many as tie."""
    return np.divide(x, np.maximum(count, 1, dtype=np.float32), dtype=np.result_type(x, np.float32)).astype(x.dtype, copy=False)
'''
)
"""What the gradient of a largest item and its tangent have in common."""
