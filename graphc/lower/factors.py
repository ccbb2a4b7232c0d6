"""Right factors of products that are copied into the other order of memory first.

BLAS multiplies by a transposed right factor by another routine, which takes twice as long where matrices are small, until the bytes of
the copy are more than what that costs (measured with OpenBLAS 0.3.30: 64 by 64 by 64 takes 4.7 us, and 2.2 after a copy of 1.3).
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Final

from graphc.core import Tensor
from graphc.lower.cost import is_product
from graphc.lower.schedule import Schedule, read_by

LARGEST: Final = 1 << 13
"""Elements of the factor up to which a copy pays."""
ROWS: Final = 16
"""Rows of the left factor from which on it does."""


def small_right_factors(schedule: Schedule) -> set[Tensor]:
    """The transposed matrices that are only read by the very next step, a product, as its right factor, and are small."""
    found = {x for x, step in pairwise(schedule.steps) if isinstance(x, Tensor) and isinstance(step, Tensor) and _pays(x, step)}
    if found:
        found -= {*schedule.outputs, *schedule.updates.values()}
        readers = Counter([x for step in schedule.steps for x in read_by(step) if x in found])
        found = {x for x in found if readers[x] == 1}
    return found


def _pays(x: Tensor, step: Tensor) -> bool:
    if x.op is None or x.op.name != "transpose" or x.ndim != 2 or not is_product(step) or step.inputs[1] is not x or step.ndim != 2:
        return False
    rows = step.shape[0] if isinstance(step.shape[0], int) else ROWS
    return isinstance(x.size, int) and 0 < x.size <= LARGEST and x.dtype in ("float32", "float64") and rows >= ROWS
