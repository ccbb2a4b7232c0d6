"""SymPy both ways: an expression as a graph, a graph as expressions, and pointwise ops declared by a formula.

>>> import graphc as gc, sympy
>>> x = sympy.Symbol("x", real=True)
>>> soft = gc.pointwise("my_softplus", sympy.log(1 + sympy.exp(x)))
>>> gc.from_sympy(sympy.sin(x) ** 2, {x: gc.input("t", (3,))})
<square f32[3]>
>>> gc.to_sympy(gc.sum(gc.square(gc.input("x", (2,)))))
x[0]**2 + x[1]**2
"""

from graphc.symbolic.declaring import pointwise
from graphc.symbolic.lowering import from_sympy
from graphc.symbolic.spelling import stable
from graphc.symbolic.writing import to_sympy

__all__ = ["from_sympy", "pointwise", "stable", "to_sympy"]
