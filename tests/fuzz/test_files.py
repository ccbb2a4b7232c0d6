"""A few hundred malformed files of each kind, and files that mean harm; ``files.py`` tries as many as it is told."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))

from files import run, warm
from formats import to_h5
from mutate import CANARY, NUMBERS, TEXTS
from readers import READERS, _h5, _target

import graphc as gc
from graphc import nn
from graphc.core import OPS, Subgraph
from graphc.core.errors import GraphcError
from graphc.core.subgraph import every_node
from graphc.nn import saving, weights, wiring
from graphc.ops.index import Index
from graphc.testing import calls

TIMES = {"model": 150, "checkpoint": 60, "function": 40, "keras": 60, "keras bytes": 60, "keras archive": 40}


@pytest.mark.parametrize("name", READERS)
def test_a_file_gives_an_error_of_ours_or_a_right_result(name: str) -> None:
    warm(name)
    assert run(name, TIMES.get(name, 200), seed=7).failures == []


def test_the_command_tells_of_a_failure(tmp_path: Path) -> None:
    command = [sys.executable, str(Path(__file__).parent / "files.py"), "--times", "20", "--only", "idx", "--keep", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith("idx: 20 files: ")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- what would be run
def edited(path: Path, change: Any) -> Path:
    """The file with its description changed, and a digest that fits."""
    arrays, texts = weights.read(path)
    described = json.loads(texts["graphc"])
    change(described)
    text = json.dumps(described)
    weights.write(path, arrays, {"graphc": text, "digest": saving._digest(text, arrays)})
    return path


def a_model(path: Path) -> Path:
    x = nn.Input((4,))
    y = gc.cast(nn.layers.Dense(4)(x), dtype="float64").reshape(("batch", 2, 2))[:, 1:]
    nn.Model(x, y).save(path)
    return path


def nodes_of(described: dict[str, Any], op: str) -> list[dict[str, Any]]:
    return [node for node in described["model"]["config"]["nodes"] if node.get("op") == op]


HOSTILE = [
    ("cast", [f"float64) if open('{CANARY}', 'w') else float(1"]),
    ("reshape", [{"tuple": [{"size": [[[f"open('{CANARY}', 'w')"], 1]]}, 2, 2]}]),
    ("reshape", [{"tuple": [{"size": [[["batch"], f"open('{CANARY}', 'w')"]]}, 2, 2]}]),
    ("getitem", [{"record": "Index", "fields": {"items": {"tuple": [f"open('{CANARY}', 'w')", 0, 0]}}}]),
    ("getitem", [{"record": "Index", "fields": {"items": {"tuple": [{"record": "Span", "fields": {"start": f"open('{CANARY}', 'w')"}}]}}}]),
    ("getitem", [{"record": "Index", "fields": {"items": {"tuple": [0]}}}]),
]


@pytest.mark.parametrize(("op", "attributes"), HOSTILE, ids=[f"{op} {i}" for i, (op, _) in enumerate(HOSTILE)])
def test_an_attribute_in_a_file_is_not_run(op: str, attributes: list[Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def change(described: dict[str, Any]) -> None:
        for node in nodes_of(described, op):
            node["attributes"] = attributes

    with pytest.raises(GraphcError):
        nn.load_model(edited(a_model(tmp_path / "model"), change))
    assert not (tmp_path / CANARY).exists()


@pytest.mark.parametrize("name", ["cast", "Final", "find", "importlib", "_public", "np"])
def test_a_function_that_a_module_imports_for_itself_cannot_be_named(name: str) -> None:
    with pytest.raises(GraphcError, match="is not known"):
        nn.configured.unpacked({"module": "graphc.nn.initializers", "function": name})


def test_every_op_takes_attributes_of_its_own_kinds_alone() -> None:
    """Each attribute of each op in its turn with each hostile value: an error of ours, or source in which the text is quoted."""
    tried = kept = 0
    for op in [op for op in OPS.values() if op.attributes]:
        for node in [node for call in calls(op)[:2] for node in every_node([call.node(call.inputs())]) if node.op is op][:1]:
            if any(isinstance(value, Subgraph) for value in node.attrs):
                continue
            assert op.remade(node.inputs, wiring._attributes(op, [wiring._attribute(op.name, a) for a in node.attrs])) is node
            for place in range(len(node.attrs)):
                for value in [*[text for text in TEXTS if CANARY in text], {"tuple": [TEXTS[-1]]}, NUMBERS[-1], None]:
                    attributes = [wiring._attribute(op.name, a) for a in node.attrs]
                    attributes[place] = value
                    tried += 1
                    try:
                        made = op.remade(node.inputs, wiring._attributes(op, attributes))
                        source = gc.compile(list(dict.fromkeys(_leaves(made))), made).source
                    except (GraphcError, TypeError, ValueError, AttributeError, ArithmeticError):
                        continue
                    kept += 1
                    assert not names_in(source), (op, value)
    assert tried > 1000
    assert kept < tried / 10


def _leaves(node: gc.Tensor) -> list[Any]:
    return [leaf for leaf in every_node([node]) if isinstance(leaf, gc.Input)]


def names_in(source: str) -> list[str]:
    """Where the canary is a name in the source, and not in a string or a comment."""
    return [ast.dump(node) for node in ast.walk(ast.parse(source)) if CANARY in str(getattr(node, "id", "") or getattr(node, "attr", ""))]


# ---------------------------------------------------------------- what would fill the memory
@pytest.mark.parametrize("units", [1 << 34, 1 << 60, 1 << 62, 10**30, -5])
def test_a_model_cannot_ask_for_more_than_its_file_holds(units: int, tmp_path: Path) -> None:
    def change(described: dict[str, Any]) -> None:
        described["model"]["config"]["layers"][1]["config"]["units"] = units

    with pytest.raises(GraphcError):
        nn.load_model(edited(a_model(tmp_path / "model"), change))


def test_weights_of_keras_are_looked_at_before_they_are_read(tmp_path: Path) -> None:
    """An array of 2**40 numbers takes no space in the file where nothing was ever written to it."""
    tree, spare, huge = _h5()
    huge["layers"]["dense"]["vars"]["1"] = tree["layers"]["dense"]["vars"]["1"]
    for number, (other, told) in enumerate([(tree, None), (spare, None), (huge, "1073741824")]):
        path = tmp_path / f"{number}.weights.h5"
        path.write_bytes(to_h5(other))
        if told is None:
            _target().load_weights(path)
        else:
            with pytest.raises(nn.WeightsError, match=told):
                _target().load_weights(path)


@pytest.mark.parametrize("link", [{"#other": "/etc/passwd"}, {"#link": "/layers/dense"}])
def test_links_are_not_followed(link: dict[str, Any], tmp_path: Path) -> None:
    tree = _h5()[0]
    tree["layers"]["dense"] = link
    (tmp_path / "w.weights.h5").write_bytes(to_h5(tree))
    with pytest.raises(nn.WeightsError, match=r"no group of the file's own|cannot be read|not those of"):
        _target().load_weights(tmp_path / "w.weights.h5")


def test_a_pickle_cannot_make_a_long_table() -> None:
    with pytest.raises(nn.datasets.DamagedDataError, match="place 1073741824"):
        nn.datasets.pickled.read_pairs(b"\x80\x02K\x01r" + (1 << 30).to_bytes(4, "little") + b".", 1)


def test_an_index_fits_the_tensor_it_was_meant_for() -> None:
    x = gc.input("x", (3, 2))
    for items in ((0,), (0, 0, 0), (5, 0)):
        with pytest.raises(GraphcError):
            x[Index(items)]
    assert np.shape(gc.evaluate(gc.constant(np.ones((3, 2)))[Index((None, 1, 0))])) == (1,)
