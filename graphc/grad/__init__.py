"""Symbolic differentiation: gradients are graphs, of any order."""

from graphc.grad import control_rules as control_rules
from graphc.grad.batch import vmap
from graphc.grad.control import checkpoint, cond, custom_gradient, map, scan, while_loop
from graphc.grad.forward import pushforward
from graphc.grad.higher import hessian, hvp, jacobian, jvp
from graphc.grad.kinks import guard, policy
from graphc.grad.reverse import Flow, carries, pullback
from graphc.grad.transforms import flows, grad, reversed_graph, value_and_grad, vjp, why_no_gradient

__all__ = [
    "Flow",
    "carries",
    "checkpoint",
    "cond",
    "custom_gradient",
    "flows",
    "grad",
    "guard",
    "hessian",
    "hvp",
    "jacobian",
    "jvp",
    "map",
    "policy",
    "pullback",
    "pushforward",
    "reversed_graph",
    "scan",
    "value_and_grad",
    "vjp",
    "vmap",
    "while_loop",
    "why_no_gradient",
]
