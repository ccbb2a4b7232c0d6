"""The programs on a page of the documentation run: its blocks of Python, one after the other, are one."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(("page", "files"), [("nn.md", {"noisy.safetensors", "step.svg"})])
def test_the_page_runs(page: str, files: set[str], tmp_path: Path) -> None:
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "docs" / page).read_text("utf-8"), re.MULTILINE | re.DOTALL)
    assert blocks
    program = tmp_path / "page.py"
    program.write_text("\n".join(blocks), "utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-W", "error", program.name], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {program.name, *files}


@pytest.mark.parametrize("page", ["nn.md"])
def test_the_examples_that_the_page_names_are_there(page: str) -> None:
    named = set(re.findall(r"`(\w+\.py)`", (ROOT / "docs" / page).read_text("utf-8")))
    assert named <= {path.name for path in (ROOT / "examples").glob("*.py")}
