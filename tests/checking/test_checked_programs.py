"""Random programs under ``check=True``: nothing differs, and no alarm is false.

``python tests/checking/test_checked_programs.py --times 1000`` tries as many as it is told, with ``--jax`` on the other backend too.
"""

import argparse
import importlib.util
import sys
from pathlib import Path
from typing import Any

import pytest

import graphc as gc
from graphc.core.errors import CheckError

SPEC = importlib.util.spec_from_file_location("programs", Path(__file__).parents[1] / "test_random_programs.py")
assert SPEC is not None
assert SPEC.loader is not None
programs: Any = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(programs)


def difference(seed: int, jax: bool = False) -> str:
    """What a check says of a program; nothing if it passes, twice, since buffers are used again."""
    inputs, outputs, values = programs.program(seed)
    step = gc.compile(inputs, outputs, check=gc.Check(other_backend=jax, script=False), debug_nans=True)
    try:
        for _ in range(2):
            step(*values)
    except CheckError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("seed", range(400, 406))
def test_checked_programs_pass(seed: int) -> None:
    assert not difference(seed)


def main() -> None:
    """Try many programs."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=1000)
    parser.add_argument("--first", type=int, default=1000)
    parser.add_argument("--jax", action="store_true", help="compare with XLA too, which takes seconds a program")
    given = parser.parse_args()
    found = 0
    for seed in range(given.first, given.first + given.times):
        told = difference(seed, given.jax)
        found += bool(told)
        if told:
            print(f"seed {seed}: {told}", flush=True)
    print(f"{given.times} programs checked, {found} differ")
    sys.exit(found > 0)


if __name__ == "__main__":
    main()
