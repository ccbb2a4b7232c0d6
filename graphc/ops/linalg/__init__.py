"""Linear algebra on stacks of matrices: the last two axes are a matrix, the leading ones are a stack and broadcast.

They compute in float32 or float64, integers in float64. Where LAPACK gives up (a singular matrix in ``inv``, one that is not positive
definite in ``cholesky``), NumPy raises ``numpy.linalg.LinAlgError`` in the call; JAX cannot, and gives inf or NaN. What goes by
singular values or eigenvalues (``svd``, ``svdvals``, ``pinv``, ``lstsq``, ``matrix_norm`` of some orders, ``eigh``, ``eigvalsh``, the
gradient of ``det``) raises the same for an inf or a NaN in a matrix, on which LAPACK may loop for ever; on JAX it is NaN.

``cholesky``, ``eigh`` and ``eigvalsh`` read both triangles evenly: they are functions of the symmetric part ``(a + aᵀ) / 2``, so that
their gradients are symmetric matrices, and those of the function that is computed.
"""

from graphc.ops.linalg.determinants import adjugate, det, logdet, slogdet, trace
from graphc.ops.linalg.factorisations import cholesky, eigh, eigvalsh, qr, svd, svdvals
from graphc.ops.linalg.functions import expm, matrix_norm, matrix_power, matrix_rank
from graphc.ops.linalg.solving import inv, lstsq, pinv, solve, solve_triangular

__all__ = [
    "adjugate",
    "cholesky",
    "det",
    "eigh",
    "eigvalsh",
    "expm",
    "inv",
    "logdet",
    "lstsq",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "solve_triangular",
    "svd",
    "svdvals",
    "trace",
]
