"""The tutorial is a whole notebook with its outputs, and its cells run, one after the other, in a process without Jupyter."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOK = ROOT / "docs" / "tutorial.ipynb"
KINDS = {"_repr_svg_": "image/svg+xml", "_repr_latex_": "text/latex", "_repr_html_": "text/html"}

# What a notebook does with a cell: it runs the statements, and shows the value of the last one if that is an expression.
RUN = f"""
import ast, json, sys
KINDS = {KINDS!r}

def shown(value):
    bundle = getattr(value, "_repr_mimebundle_", dict)() or {{}}
    own = {{kind: getattr(value, name)() for name, kind in KINDS.items() if hasattr(value, name)}}
    return sorted(kind for kind, text in {{**own, **bundle}}.items() if text is not None and kind != "text/plain")

scope, found = {{"__name__": "__main__"}}, []
for source in json.load(open(sys.argv[1])):
    tree = ast.parse(source)
    last = ast.Expression(tree.body.pop().value) if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "cell", "exec"), scope)
    value = None if last is None else eval(compile(last, "cell", "eval"), scope)
    found.append(None if value is None else shown(value))
json.dump(found, open(sys.argv[2], "w"))
"""


def notebook() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text("utf-8"))


def code_cells() -> list[dict[str, Any]]:
    return [cell for cell in notebook()["cells"] if cell["cell_type"] == "code"]


def test_it_is_a_notebook_with_outputs_and_no_errors() -> None:
    found = notebook()
    assert found["nbformat"] == 4
    assert NOTEBOOK.stat().st_size < 400_000
    ids = [cell["id"] for cell in found["cells"]]
    assert len(set(ids)) == len(ids)
    cells = code_cells()
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        for output in cell["outputs"]:
            assert output["output_type"] in ("stream", "execute_result"), output
            assert output.get("name") != "stderr", output
    shown = [kind for cell in cells for output in cell["outputs"] for kind in output.get("data", {})]
    assert set(KINDS.values()) <= set(shown)


def test_it_names_no_place_of_the_machine_that_ran_it() -> None:
    text = NOTEBOOK.read_text("utf-8")
    for place in (*[f"/{folder}/" for folder in ("tmp", "home", "root")], "ipykernel_", str(ROOT)):
        assert place not in text


def test_every_cell_parses() -> None:
    for cell in code_cells():
        ast.parse("".join(cell["source"]))


def test_its_cells_run(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    cells = code_cells()
    (tmp_path / "cells.json").write_text(json.dumps(["".join(cell["source"]) for cell in cells]))
    command = [sys.executable, "-W", "error", "-c", RUN, "cells.json", "shown.json"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    shown = json.loads((tmp_path / "shown.json").read_text())
    for cell, kinds in zip(cells, shown, strict=True):
        results = [output for output in cell["outputs"] if output["output_type"] == "execute_result"]
        assert (kinds is not None) == bool(results), cell["source"]
        for result in results:
            assert sorted(kind for kind in result["data"] if kind != "text/plain") == kinds, cell["source"]
