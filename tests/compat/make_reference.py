"""What TensorFlow 2 prints, for the expressions and programs in reference.json: run where TensorFlow is, to write that file anew.

A program leaves its result in ``r``.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("reference.json")


def outcome(text: str, module: Any) -> str:
    """What an expression or a program gives, as text; of an error that it is one."""
    import numpy as np

    names = {"tf": module, "np": np}
    try:
        if "r=" not in text:
            return repr(eval(text, names))
        exec(text, names)
    except Exception as error:
        return "a RuntimeError" if isinstance(error, RuntimeError) else "an error"
    return repr(names["r"])


if __name__ == "__main__":
    import tensorflow as tf

    found = {text: outcome(text, tf) for text in json.loads(FILE.read_text())}
    FILE.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
