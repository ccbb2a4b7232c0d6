"""Symbolic differentiation: gradients are graphs, of any order."""

from graphc.grad.kinks import guard, policy
from graphc.grad.reverse import Flow, carries
from graphc.grad.transforms import flows, grad, reversed_graph, value_and_grad, vjp, why_no_gradient

__all__ = ["Flow", "carries", "flows", "grad", "guard", "policy", "reversed_graph", "value_and_grad", "vjp", "why_no_gradient"]
