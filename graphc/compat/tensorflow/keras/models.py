"""``keras.models``: models, and how they are loaded and copied."""

from __future__ import annotations

from typing import Any, Final

from graphc.core.errors import UnknownNameError, near

NAMES: Final = ("Model", "Sequential", "load_model", "save_model")


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise UnknownNameError(f"graphc.compat.tensorflow.keras.models has no {name!r}{near(name, NAMES)}", fits=", ".join(NAMES))
    from graphc import nn

    return getattr(nn, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES})
