import io
import sys
import time
import types

import numpy as np
from rich.console import Console

from graphc import ops as gc
from graphc.core import Origin, constant, input, scope
from graphc.grad import grad
from graphc.show import formula, listing


def test_book(golden, book):
    golden("book.listing.txt", listing(book["loss"]) + "\n")


def test_book_with_gradient(golden, book):
    golden("book.gradient.txt", listing([book["loss"], grad(book["loss"], book["W1"])]) + "\n")


def test_book_as_formulas(golden, book):
    gradient = formula(grad(book["loss"], book["W1"]))
    golden(
        "book.formula.txt", "\n".join(["loss", str(formula(book["loss"])), "", "gradient for W1", str(gradient), "", gradient.latex, ""])
    )


def test_columns_are_aligned_and_comments_hold_label_and_line():
    x = input("x", (2, 3))
    y = gc.relu(x).named("h")
    z = gc.sum(y, axis=1)
    for line, node in enumerate((x, y, z), 9):
        node.origin = Origin("/home/someone/train.py", line)
    assert listing(z).splitlines() == [
        "%0 : f32[2, 3] = input x                             # train.py:9",
        "%1 : f32[2, 3] = relu(%0)                            # h, train.py:10",
        "%2 : f32[2]    = sum(%1, axis=(1,), keepdims=False)  # train.py:11",
        "return %2",
    ]


def test_constants_tell_their_values_and_no_line():
    x = input("x", (5,))
    x.origin = None
    lines = listing(x * 0.5 + constant(np.arange(5), "float32")).splitlines()
    assert "= constant 0.5" in lines[1]
    assert lines[3].endswith("= constant [0, 1, 2, 3, ...]")


def test_what_constants_alone_make_belongs_to_nobody():
    shared = gc.exp(gc.ones((3,)))
    assert "#" not in listing(shared)


def test_several_roots_and_none():
    x = input("x")
    assert listing([x, gc.exp(x), x]).splitlines()[-1] == "return %0, %1, %0"
    assert listing([]) == "return"


def test_gradient_nodes_name_their_forward_node():
    x = input("x")
    y = gc.sin(gc.exp(x))
    lines = listing([y, grad(y, x)]).splitlines()
    [number] = [line.split()[0] for line in lines if "= sin(" in line]
    [cosine] = [line for line in lines if "= cos(" in line]
    assert cosine.endswith(f"gradient of {number}")


def test_a_label_cannot_break_a_line():
    x = input("two\nlines")
    assert listing(gc.exp(x)).count("\n") == 2


def test_a_long_chain():
    y = input("x", (3,))
    for _ in range(100_000):
        y = gc.sin(y)
    assert listing(y).count("\n") == 100_001


def test_print_lists_the_graph_and_repr_is_short():
    x = input("x", (2, 3))
    y = gc.sum(gc.exp(x)).named("y")
    assert str(y) == str(listing(y))
    assert f"{y}" == str(listing(y))
    assert repr(y) == "<y f32[]>"
    assert str(x) == repr(x) == "<x f32[2, 3]>"
    assert repr([x, y]) == "[<x f32[2, 3]>, <y f32[]>]"
    parts = gc.linalg.qr(input("a", (3, 3)))
    assert str(parts[0]).splitlines()[1].startswith("%1 : (f32[3, 3], f32[3, 3]) = qr(%0")


def test_print_of_a_long_graph_has_what_is_near_the_result():
    y = input("x", (3,))
    for _ in range(1000):
        y = gc.sin(y)
    lines = str(y).splitlines()
    assert lines[0] == "… 601 nodes before; gc.listing(y) has them all"
    assert lines[1].startswith("%601  : f32[3] = sin(%600)")
    assert len(lines) == 402
    assert len(listing(y).splitlines()) == 1002


def test_groups_stand_with_the_line():
    x = input("x", (3,))
    with scope("encoder"), scope("two\nwords"):
        y = gc.exp(x)
    assert listing(y).splitlines()[1].endswith(" in encoder/two words")


def test_a_listing_shows_itself():
    y = gc.exp(input("<x>", (3,))).named("y")
    found = listing(y)
    assert repr(found) == str(found)
    assert "&lt;x&gt;" in found._repr_html_()
    out = io.StringIO()
    console = Console(file=out, width=100, color_system=None)
    console.print(found)
    console.print(y)
    assert out.getvalue() == f"{found}\n{found}\n"


def test_notebooks_have_the_formula_of_a_small_graph_and_the_listing_of_a_large_one():
    x = input("x", (3,))
    small, large = gc.exp(x) + 1.0, x
    for _ in range(100):
        large = gc.sin(large)
    assert small._repr_latex_() == f"$${formula(small).latex}$$"
    assert small._repr_html_() is None
    assert large._repr_latex_() is None
    assert "<details><summary><code>&lt;sin f32[3]&gt;</code>, 100 operators</summary>" in large._repr_html_()
    assert x._repr_latex_() == "$$x$$"


def test_a_printed_graph_is_made_in_no_time():
    y = input("x", (3,))
    for _ in range(5_000):
        y = gc.sin(y)
    before = time.process_time()
    assert str(y)
    assert time.process_time() - before < 1.0


def test_a_line_of_a_notebook_is_that_of_its_cell(monkeypatch):
    place = Origin("C:/temp/ipykernel_77/1465720.py", 4)
    assert str(place) == "1465720.py:4"  # Jupyter has ended
    shell = types.SimpleNamespace(compile=types.SimpleNamespace(_filename_map={place.file: 3}))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    assert str(place) == "In[3]:4"
    assert str(Origin("/home/someone/train.py", 4)) == "train.py:4"
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: None))
    assert str(place) == "1465720.py:4"
