"""Which values share memory, which memory a step can be given, and how many bytes a value has: what all of the memory plan builds on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from graphc.core import Bundle, Tensor, sizes
from graphc.lower import cost
from graphc.lower.schedule import Schedule
from graphc.lower.template import out_template


def may_be_view(step: Any) -> bool:
    """Whether a step's result may share the memory of its first operand. :func:`graphc.lower.cost.is_view` says whether it does."""
    op = step.op if isinstance(step, Tensor) else None
    return op is not None and op.view and not isinstance(step.inputs[0].type, Bundle)


def is_part(step: Any) -> bool:
    """Whether a step takes one of several results out of the step that computed them."""
    return isinstance(step, Tensor) and bool(step.inputs) and isinstance(step.inputs[0].type, Bundle)


def roots(schedule: Schedule) -> dict[Tensor, Tensor]:
    """For every value the one whose memory it is, which is itself but for views."""
    found: dict[Tensor, Tensor] = {x: x for x in schedule.given}
    for step, nodes in zip(schedule.steps, schedule.written, strict=True):
        for node in nodes:
            found[node] = found[node.inputs[0]] if may_be_view(step) else node
    return found


def holders(schedule: Schedule) -> dict[Tensor, Tensor]:
    """For every value the one that holds its memory once it is written: a view's operand, the tuple of several results.

    A reshape of what lies in strides is a copy and holds its own. :func:`roots` takes it for a view all the same: what may be one must
    not be written over.
    """
    found: dict[Tensor, Tensor] = {x: x for x in schedule.given}
    for nodes in schedule.written:
        for node in nodes:
            found[node] = found[node.inputs[0]] if is_part(node) or cost.is_view(node) else node
    return found


def takes_buffer(step: Any, node: Tensor) -> bool:
    """Whether the step can write this result into memory that it is given."""
    if not isinstance(step, Tensor):
        return node in step.kept
    return node.type.shape != () and out_template(node) is not None


def may_write_over(node: Tensor, x: Tensor, root: Mapping[Tensor, Tensor]) -> bool:
    """Whether a step may write its result over its operand ``x``: element by element, and no other operand may be a view of x.

    NumPy copies operands that overlap the result of one call; what several calls write, it cannot know.
    """
    op = node.op
    assert op is not None
    if not op.pointwise:
        return False
    allowed = op.operands if op.inplace is None else op.inplace
    return all(a is x and name in allowed for name, a in zip(op.operands, node.inputs, strict=True) if root[a] is root[x])


def nbytes(node: Tensor, known: Mapping[str, int]) -> int:
    """Bytes of a value at these sizes; others count as typical."""
    return sizes.typical(node.type.nbytes, known)
