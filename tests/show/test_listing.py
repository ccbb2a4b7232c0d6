import numpy as np

from graphc import ops as gc
from graphc.core import Origin, constant, input
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
