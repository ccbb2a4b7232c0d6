"""Print the README's two commands, one a line, so that what .ci/run runs and what people are told to run cannot drift apart."""

import re
import sys
from pathlib import Path

HEADING = "## Two commands"
README = Path(__file__).parent.parent / "README.md"


def commands(text: str) -> list[str]:
    """The two commands of a README: each is a fenced ``sh`` block of one line. Raises ``ValueError``."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", _section(text), flags=re.MULTILINE | re.DOTALL)
    if len(blocks) != 2:
        raise ValueError(f"2 sh blocks belong under {HEADING!r}; there are {len(blocks)}")
    lines = [block.strip() for block in blocks]
    for line in lines:
        if not line or "\n" in line:
            raise ValueError(f"a block holds one command on one line; this one holds {line!r}")
    return lines


def _section(text: str) -> str:
    found = re.search(rf"^{HEADING}\n(.*?)(?=^## |\Z)", text, flags=re.MULTILINE | re.DOTALL)
    if found is None:
        raise ValueError(f"no heading {HEADING!r}")
    return found[1]


if __name__ == "__main__":
    try:
        print("\n".join(commands(README.read_text(encoding="utf-8"))))
    except (OSError, ValueError) as error:
        sys.exit(f"README.md: {error}")
