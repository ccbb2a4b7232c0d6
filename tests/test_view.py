"""``graphc draw``, ``explain``, ``derive``, ``formula`` and ``diff``, in an empty folder with a script, as a user has them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from graphc import cli, script
from graphc.core.errors import DrawError, ScriptError

ROOT = Path(__file__).parents[1]
TRAIN = """
import numpy as np
import graphc as gc
import beside

print("the script says this")
x, t = gc.input("x", ("batch", 4)), gc.input("t", ("batch",), "int32")
w, b = gc.variable(np.ones((4, 3), "float32"), "W"), gc.variable(np.zeros(3, "float32"), "b")
logits = (x @ w + b).named("logits")
loss = gc.mean(gc.sparse_categorical_crossentropy(t, logits, from_logits=True)).named("loss")
step = gc.compile([x, t], loss, {w: w - 0.1 * gc.grad(loss, w)})
model = gc.nn.Sequential([gc.nn.Input((4,)), gc.nn.layers.Dense(3, activation="relu")])
number = 3
if __name__ == "__main__":
    raise AssertionError("this is for python train.py")
"""
SCRIPTS = {
    "train.py": TRAIN,
    "beside.py": "",
    "one.py": 'import graphc as gc\ny = gc.exp(gc.input("x", (2,)))\n',
    "shapes.py": 'import graphc as gc\n\ndef f(x):\n    return x @ x\n\ny = f(gc.input("x", (2, 3)))\n',
    "zero.py": "x = 1 / 0\n",
    "syntax.py": "x = (\n",
    "leaves.py": "import sys\nsys.exit(3)\n",
    "empty.py": "",
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, text in SCRIPTS.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.delitem(sys.modules, "beside", raising=False)
    return tmp_path


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    """What goes to standard output, or, where it fails, to standard error."""
    assert cli.main(arguments) == code
    both = capsys.readouterr()
    assert "Traceback" not in both.err
    return both.err if code else both.out


MAGIC = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "html": b"<!"}


@pytest.mark.parametrize("form", MAGIC)
def test_a_picture_in_each_format(folder: Path, capsys: pytest.CaptureFixture[str], form: str) -> None:
    assert said(capsys, "draw", "train.py:loss", "--format", form) == f"saved loss.{form}\n"
    assert (folder / f"loss.{form}").read_bytes().lstrip().startswith(MAGIC[form])


def test_the_gradient_and_options(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "draw", "train.py:loss", "--wrt", "w,b", "--out", "a.dot", "--title", "mine") == "saved a.dot\n"
    dot = (folder / "a.dot").read_text()
    assert "reversed" in dot
    assert "mine" in dot
    told = said(capsys, "draw", "train.py:loss", "--wrt", "W", "--format", "dot", "--out", "-")
    assert told.startswith("digraph")
    assert "the script says" not in told


def test_values_and_a_path(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez("v.npz", x=np.ones((2, 4), "float32"), t=np.array([0, 1], "int32"))
    said(capsys, "draw", "train.py:loss", "--values", "v.npz", "--path", "W", "--color-by", "gradient norm", "--out", "v.dot")
    assert "= 1.1" in (folder / "v.dot").read_text()  # log 3


@pytest.mark.parametrize("name", ["step", "model"])
def test_functions_and_models_are_graphs(folder: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    said(capsys, "draw", f"train.py:{name}", "--format", "dot")
    assert "f32[batch, 3]" in (folder / f"{name}.dot").read_text()


def test_the_only_graph_needs_no_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "draw", "one.py", "--format", "dot") == "saved y.dot\n"


def test_explain(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "rewrites by" in said(capsys, "explain", "train.py:step")
    told = said(capsys, "explain", "train.py:step", "logits")
    assert "operator 'logits', train.py:9" in told
    assert "it ends as" in told
    assert "dot(x, W, " in said(capsys, "explain", "train.py:loss", "matmul")
    assert "variable 'W'" in said(capsys, "explain", "train.py:step", "w")  # the script's name, not the label
    assert "is 'logits' meant?" in said(capsys, "explain", "train.py:step", "logit", code=1)


def test_derive_and_formula(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "W" in said(capsys, "derive", "train.py:loss", "w")
    assert "<" in said(capsys, "derive", "train.py:loss", "W", "--format", "html")
    assert said(capsys, "derive", "train.py:loss", "W", "--format", "latex", "--out", "d.tex") == "saved d.tex\n"
    assert (folder / "d.tex").stat().st_size
    assert said(capsys, "formula", "train.py:logits").startswith("logits = x")
    assert said(capsys, "formula", "train.py:logits", "--format", "latex").startswith("\\mathrm{logits} = x")
    assert "there is no v" in said(capsys, "derive", "train.py:loss", "v", code=1)


def test_diff(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = said(capsys, "diff", "train.py:loss", "train.py:logits", "--out", "d.dot")
    assert told.startswith("--- train.py:loss")
    assert told.endswith("saved d.dot\n")
    assert "other" not in told  # the script ran once, and both read its leaves
    assert "are the same graph" in said(capsys, "diff", "one.py", "one.py:y")


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["draw", "trian.py:loss"], ["there is no file trian.py", "is train.py meant?", "script.py:name"]),
        (["draw", "."], ["is a folder"]),
        (["draw", "train.py:los"], ["defines no graph los", "is loss or logits meant?", "there are logits, loss, step, model"]),
        (["draw", "train.py:number"], ["train.py:number is no graph", "number: int 3"]),
        (["draw", "train.py"], ["which graph of train.py?", "train.py:step"]),
        (["draw", "empty.py"], ["empty.py defines no graph"]),
        (["draw", "train.py:loss", "--wrt", "v"], ["there is no v", "fits: t, x, W, b"]),
        (["draw", "train.py:loss", "--out", "a.xyz"], ["nothing is drawn as .xyz", ".svg, .png, .pdf, .dot, .html"]),
        (["draw", "train.py:loss", "--out", "a.png", "--format", "svg"], ["--format svg into a.png"]),
        (["draw", "train.py:loss", "--out", "no/a.svg"], ["there is no folder no"]),
        (["draw", "train.py:loss", "--format", "html", "--theme", "dark"], ["--theme with --format html"]),
        (["draw", "train.py:loss", "--format", "html", "--out", "-"], ["fits: --out FILE.html"]),
        (["draw", "train.py:loss", "--level", "layer"], ["level='layer'", "layers"]),
        (["draw", "train.py:loss", "--values", "nowhere.npz"], ["draw --values nowhere.npz: No such file", "numpy.savez"]),
        (["draw", "train.py:loss", "--values", "zero.py"], ["draw --values zero.py: ", "numpy.savez"]),
        (["draw", "train.py:loss", "--format", "png", "--engine", "/nowhere/dot"], ["/nowhere/dot"]),
        (["draw", "leaves.py:y"], ["leaves.py ended itself: SystemExit(3)"]),
        (["explain", "nowhere.py:step"], ["explain: there is no file nowhere.py"]),
    ],
)
def test_what_does_not_fit_is_told(folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], told: list[str]) -> None:
    found = said(capsys, *arguments, code=1)
    assert found.splitlines()[-1]
    for words in told:
        assert words in found


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("shapes.py", ['File "shapes.py", line 6, in <module>', 'File "shapes.py", line 4, in f', "ShapeError: matmul(a, b): inner sizes"]),
        ("zero.py", ['File "zero.py", line 1, in <module>', "ZeroDivisionError: division by zero"]),
        ("syntax.py", ['File "syntax.py", line 1', "SyntaxError"]),
    ],
)
def test_a_script_that_fails_shows_its_own_lines(folder: Path, name: str, lines: list[str]) -> None:
    with pytest.raises(ScriptError) as error:
        script.run(f"{name}:y", "draw")
    told = str(error.value)
    for line in lines:
        assert line in told
    for stranger in ("runpy", str(ROOT / "graphc"), "__main__"):
        assert stranger not in told


def test_a_file_with_a_colon_is_a_file(folder: Path) -> None:
    if os.name == "nt":
        pytest.skip("no colons in names")
    (folder / "a.py:b").write_text("z = 1")
    found = script.run("a.py:b", "draw")
    assert (found.name, found.values["z"]) == (None, 1)


def test_a_plain_layout_is_told_without_a_line_of_python(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def plain(*_args: object, **_options: object) -> None:
        raise DrawError("no Graphviz engine works here", fits="pip install")

    monkeypatch.setattr("graphc.show.picture.render", plain)
    assert cli.main(["draw", "train.py:loss"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert told[1].startswith("graphc: no Graphviz engine works here")
    assert "DrawWarning" not in "".join(told)
    assert (folder / "loss.svg").read_text().startswith("<svg")


def test_a_folder_that_cannot_be_written(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "taken.svg").mkdir()
    assert "taken.svg" in said(capsys, "draw", "train.py:loss", "--out", "taken.svg", code=1)


def test_as_a_process(folder: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "graphc", "draw", "train.py:loss", "--format", "svg", "--out", "-", "--engine", "plain"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("<svg")
    assert done.stderr == "the script says this\n"
