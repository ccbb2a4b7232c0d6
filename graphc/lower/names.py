"""Names for values in emitted source: the user's where they are identifiers, made up otherwise, and never one twice."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Iterable
from typing import Final, Literal, get_args

CALLED: Final = {"arena": "graphc.lower.arena", "by_rows": "graphc.parallel", "empty_aligned": "graphc.memory"}
"""The functions of graphc's own that emitted NumPy source calls, and the modules that it imports them from."""
_TAKEN = {
    *dir(builtins),
    *keyword.kwlist,
    *keyword.softkwlist,
    "np",
    "jax",
    "jnp",
    "make",
    "step",
    "checks",
    "bfloat16",
    "special",
    "linalg",
    *CALLED,
    "checking",
}
Owned = Literal["body", "buffer", "c", "items", "layer", "loop", "part", "rows", "stack", "state", "turned", "view"]
"""What ``make`` calls its own, each with a number, which every function in it may read."""
_OWNED = re.compile(rf"({'|'.join(get_args(Owned))})\d+")
"""No function may call something of its own so."""


def is_owned(name: str) -> bool:
    """Whether it is the name of something that ``make`` owns."""
    return _OWNED.fullmatch(name) is not None


class Names:
    """Gives out each name once."""

    def __init__(self, reserved: Iterable[str] = ()) -> None:
        self._used = _TAKEN | set(reserved)

    def fresh(self, wish: str | None, otherwise: str) -> str:
        """A name like ``wish``, or ``otherwise`` where there is no wish."""
        if wish is None and otherwise not in self._used:
            self._used.add(otherwise)
            return otherwise
        base = re.sub(r"[^0-9A-Za-z_]+", "_", wish or "").strip("_") or otherwise
        if base[0].isdigit():
            base = f"{otherwise.rstrip('0123456789')}_{base}"
        if _OWNED.fullmatch(base):
            base += "_"
        name, count = base, 2
        while name in self._used:
            name, count = f"{base}_{count}", count + 1
        self._used.add(name)
        return name
