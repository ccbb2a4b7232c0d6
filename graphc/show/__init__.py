"""What the user sees: pictures, formulas, listings. It knows graphs, and operations by their records."""

from graphc.show.backprop import NEXT, Reversed, backprop_sketch
from graphc.show.dot import to_dot
from graphc.show.fold import fold
from graphc.show.formula import Formula, formula
from graphc.show.listing import listing
from graphc.show.picture import Picture
from graphc.show.scene import Extras
from graphc.show.sketch import Cluster, Edge, Node, Sketch
from graphc.show.unfold import Unfolded, drawn_as, unfold

__all__ = [
    "NEXT",
    "Cluster",
    "Edge",
    "Extras",
    "Formula",
    "Node",
    "Picture",
    "Reversed",
    "Sketch",
    "Unfolded",
    "backprop_sketch",
    "drawn_as",
    "fold",
    "formula",
    "listing",
    "to_dot",
    "unfold",
]
