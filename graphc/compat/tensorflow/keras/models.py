"""``keras.models``: models, and how they are loaded and copied."""

from __future__ import annotations

from typing import Any, Final

NAMES: Final = ("Model", "Sequential", "load_model", "save_model")


def __getattr__(name: str) -> Any:
    if name not in NAMES:
        raise AttributeError(f"graphc.compat.tensorflow.keras.models has no {name!r}; it has {', '.join(NAMES)}")
    from graphc import nn

    return getattr(nn, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *NAMES})
