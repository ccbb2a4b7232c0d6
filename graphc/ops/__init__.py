"""The operations, each declared once. ``docs/adding.md`` shows what one more costs.

A module's ``__all__`` is what users see as ``gc.<name>``, but for ``fft`` and ``random``, which are namespaces of their own; the rest
of a module are the adjoints and wholes that those are made of.
"""

from graphc.core.errors import open_to_users
from graphc.ops import (
    accumulation,
    bits,
    complex_numbers,
    contraction,
    convolution,
    creation,
    index,
    linalg,
    loss,
    normalization,
    pointwise,
    pooling,
    product,
    reduce,
    scatter,
    shape,
    sorting,
    special,
)
from graphc.ops import fft as fft
from graphc.ops import random as random
from graphc.ops import selection as selection
from graphc.ops.accumulation import *  # noqa: F403
from graphc.ops.bits import *  # noqa: F403
from graphc.ops.complex_numbers import *  # noqa: F403
from graphc.ops.contraction import *  # noqa: F403
from graphc.ops.convolution import *  # noqa: F403
from graphc.ops.creation import *  # noqa: F403
from graphc.ops.index import *  # noqa: F403
from graphc.ops.linalg import *  # noqa: F403
from graphc.ops.loss import *  # noqa: F403
from graphc.ops.normalization import *  # noqa: F403
from graphc.ops.pointwise import *  # noqa: F403
from graphc.ops.pooling import *  # noqa: F403
from graphc.ops.product import *  # noqa: F403
from graphc.ops.reduce import *  # noqa: F403
from graphc.ops.reduce import sum_to as sum_to
from graphc.ops.scatter import *  # noqa: F403
from graphc.ops.shape import *  # noqa: F403
from graphc.ops.shape import number as number
from graphc.ops.shape import part as part
from graphc.ops.sorting import *  # noqa: F403
from graphc.ops.special import *  # noqa: F403

__all__: list[str] = []
__all__ += accumulation.__all__
__all__ += bits.__all__
__all__ += complex_numbers.__all__
__all__ += contraction.__all__
__all__ += convolution.__all__
__all__ += creation.__all__
__all__ += index.__all__
__all__ += linalg.__all__
__all__ += loss.__all__
__all__ += normalization.__all__
__all__ += pointwise.__all__
__all__ += pooling.__all__
__all__ += product.__all__
__all__ += reduce.__all__
__all__ += scatter.__all__
__all__ += shape.__all__
__all__ += sorting.__all__
__all__ += special.__all__

for _module in (fft, linalg, random):
    open_to_users(vars(_module), _module.__all__)
open_to_users(globals(), __all__)
