"""What the user sees: pictures, formulas, listings. It knows graphs, and operations by their records."""

from graphc.show.backprop import Reversed, backprop_sketch
from graphc.show.formula import Formula, formula
from graphc.show.listing import listing
from graphc.show.picture import Picture
from graphc.show.sketch import Edge, Node, Sketch, to_dot

__all__ = ["Edge", "Formula", "Node", "Picture", "Reversed", "Sketch", "backprop_sketch", "formula", "listing", "to_dot"]
