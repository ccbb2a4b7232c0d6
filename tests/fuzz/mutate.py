"""Changes to bytes and to trees of lists, dicts, texts and numbers: what damages a file, and what one who means harm writes into it."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable
from typing import Any

NUMBERS: list[Any] = [
    0,
    1,
    -1,
    2,
    7,
    255,
    256,
    1 << 15,
    1 << 20,
    (1 << 31) - 1,
    1 << 31,
    1 << 40,
    1 << 60,
    (1 << 63) - 1,
    1 << 63,
    1 << 64,
    -(1 << 63),
]
NUMBERS += [10**400, 0.5, -0.0, 1e308, 1e-320, float("nan"), float("inf"), float("-inf"), True, False]
CANARY = "graphc_canary"
"""A name that occurs in the texts below alone: where it is run, and not quoted, a file is written or a process started."""
_CALL = f"__import__('os').system('touch {CANARY}')"
TEXTS = ["", " ", "x", "\0", "\n", "\\", "'", '"', "'''", '"""', "\u2028", "\x85", "\ud800", "%s", "{0}", "{x}", "$x", "$out"]
TEXTS += ["../../x", "/dev/zero", "é" * 50, "a" * 70_000, _CALL, f"'+{_CALL}+'", f'"+{_CALL}+"', f"\n{_CALL}\n", f"\u2028{_CALL}#"]
TEXTS += [f"float32)\n{_CALL}\n(", f"{{{_CALL}}}", f"0) or {_CALL} or (0"]
TEXTS += [
    "float32",
    "float64",
    "bfloat16",
    "int64",
    "bool",
    "object",
    "O",
    "U8",
    "complex128",
    "relu",
    "Dense",
    "LSTM",
    "Sequential",
    "Model",
    "batch",
    "n",
    "make",
    "import_module",
    "eval",
]
BYTES = [
    b"",
    b"\0",
    b"\xff" * 8,
    b"\0" * 8,
    b"\x1f\x8b\x08",
    b"PK\x03\x04",
    b"\x89HDF",
    (1 << 60).to_bytes(8, "little"),
    (1 << 31).to_bytes(4, "big"),
    b"[" * 5000,
    b"cos\nsystem\n(U\x04truetR.",
]


def bytes_changed(data: bytes, rng: random.Random) -> bytes:
    """The data with a few changes: bits flipped, parts cut, doubled, moved, or in their place something that means a lot to a reader."""
    out = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4, 16))):
        at = rng.randrange(len(out) + 1)
        size = rng.choice((1, 2, 4, 8, rng.randrange(1, 65)))
        match rng.randrange(7):
            case 0 if at < len(out):
                out[at] ^= 1 << rng.randrange(8)
            case 1 if at < len(out):
                out[at] = rng.randrange(256)
            case 2:
                del out[at:]
            case 3:
                del out[at : at + size]
            case 4:
                out[at:at] = out[at : at + size] * rng.choice((1, 2, 50))
            case 5:
                out[at : at + size] = rng.choice(BYTES)
            case _:
                number = rng.choice([n for n in NUMBERS if type(n) is int and 0 <= n < 1 << 64])
                out[at : at + size] = (number % (1 << 8 * min(size, 8))).to_bytes(min(size, 8), rng.choice(("little", "big")))
    return bytes(out)


def tree_changed(tree: Any, rng: random.Random) -> Any:
    """A copy of the tree with one to four changes at places drawn among all of them."""
    tree = [copy.deepcopy(tree)]
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        holder, key = rng.choice(_places(tree))
        _CHANGES[rng.randrange(len(_CHANGES))](tree, holder, key, rng)
        tree = tree if tree else [None]
    return tree[0]


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        item = waiting.pop()
        keys = list(item) if isinstance(item, dict) else range(len(item))
        for key in keys:
            found.append((item, key))
            if isinstance(item[key], dict | list):
                waiting.append(item[key])
    return found


def _replaced(tree: Any, holder: Any, key: Any, rng: random.Random) -> None:
    holder[key] = value_like(holder[key], rng)


def value_like(value: Any, rng: random.Random) -> Any:
    """Something else in the place of a value, most often of its own kind."""
    kind = rng.randrange(8)
    if isinstance(value, bytes):
        return bytes_changed(value, rng)
    if isinstance(value, str) and kind < 5:
        return rng.choice((rng.choice(TEXTS), value + rng.choice(TEXTS), value[: len(value) // 2], value.upper()))
    if isinstance(value, int | float) and kind < 5:
        return rng.choice((rng.choice(NUMBERS), value + rng.choice((1, -1)), -value))
    return rng.choice((None, [], {}, [[]], {"": 0}, rng.choice(NUMBERS), rng.choice(TEXTS), [rng.choice(NUMBERS)] * rng.choice((1, 3, 40))))


def _dropped(tree: Any, holder: Any, key: Any, rng: random.Random) -> None:
    del holder[key]


def _doubled(tree: Any, holder: Any, key: Any, rng: random.Random) -> None:
    if isinstance(holder, list):
        holder.insert(key, copy.deepcopy(holder[key]))
    else:
        holder[rng.choice(TEXTS)] = copy.deepcopy(holder[key])


def _moved(tree: Any, holder: Any, key: Any, rng: random.Random) -> None:
    """Another part of the tree in its place."""
    other, place = rng.choice(_places(tree))
    holder[key] = copy.deepcopy(other[place])


def _deeper(tree: Any, holder: Any, key: Any, rng: random.Random) -> None:
    value = holder[key]
    for _ in range(rng.choice((1, 2, 50))):
        value = rng.choice(([value], {"config": value}, {"tuple": [value]}))
    holder[key] = value


_CHANGES: list[Callable[[Any, Any, Any, random.Random], None]] = [_replaced, _replaced, _replaced, _dropped, _doubled, _moved, _deeper]
