"""Work that leaves loops: what a gradient reads again is kept by the loop that computed it, and what need not be done step by step is not.

    scan -> keep -> lift -> scan with less in its body, and ops on whole stacks before and after it

They work on the compiled graph, where all loops of a value and its gradients are; a loop that is declared, and its derivatives of
any order, know nothing of them.
"""

from graphc.grad.loops.keep import keep
from graphc.grad.loops.lift import lift
from graphc.grad.loops.loop import has_loops
from graphc.grad.loops.views import tell_once

__all__ = ["has_loops", "keep", "lift", "tell_once"]
