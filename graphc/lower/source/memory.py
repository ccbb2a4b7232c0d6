"""The memory of a loop over time as NumPy source: its states, its stacks, and views of them that are made once."""

from __future__ import annotations

from collections.abc import Collection

from graphc.core import Tensor, TensorType
from graphc.lower.loops import LoopPlan, Stack
from graphc.lower.names import Owned
from graphc.lower.source.lines import comment
from graphc.lower.source.writer import Writer, written_shape


class LoopMemory:
    """The memory of a loop as source: ``head`` is what ``make`` does for it, ``before`` what a call does before the first step.

    ``each`` are the variables of the loop and what they run over. Views of memory that stays where it is are made once: ``lists`` has
    the lists that ``make`` holds of the items, by the variables that run over them, and ``whole`` the buffers.
    """

    def __init__(self, w: Writer, loop: LoopPlan, first: dict[Tensor, str], buffers: list[str]) -> None:
        self.w, self.loop = w, loop
        self.head: list[str] = []
        self.before: list[str] = []
        self.each: dict[str, str] = {}
        self.lists: dict[str, str] = {}
        self.stack: dict[Tensor, str] = {}
        self.fixed = set(buffers)
        self.whole = set(buffers)
        for x in loop.numbers:
            self.before.append(f"{w.name[x]} = np.asarray({first[x]})[()]")
        for x in loop.states:
            w.name[x] = self._made(x.type, "state")
            self.before.append(f"np.copyto({w.name[x]}, {first[x]})")
            self.fixed.add(w.name[x])
            self.whole.add(w.name[x])
        for stack in loop.stacks:
            self._stack(stack, first)

    def _made(self, type: TensorType, kind: Owned) -> str:
        name = self.w.owned(kind)
        self.head.append(f"{name} = empty_aligned({written_shape(type.shape)}, {self.w.dtype(type.dtype)})")
        return name

    def _stack(self, stack: Stack, first: dict[Tensor, str]) -> None:
        w = self.w
        if stack.fresh:
            name = w.local("stack")
            self.before.append(f"{name} = empty_aligned({written_shape(stack.type.shape)}, {w.dtype(stack.type.dtype)})")
        else:
            name = self._made(stack.type, "stack")
        self.stack[stack.target] = name
        reverse = self.loop.reverse
        if stack.before is None:
            items = f"{name}[::-1]" if reverse else name
            self._run(stack.target, items if stack.target.shape else f"{items}[:, None]", stack.fresh)
            return
        self.before.append(f"np.copyto({name}[{-1 if reverse else 0}], {first[stack.before]})")
        self._run(stack.before, f"{name}[:0:-1]" if reverse else f"{name}[:-1]", stack.fresh)
        self._run(stack.target, f"{name}[-2::-1]" if reverse else f"{name}[1:]", stack.fresh)

    def _run(self, leaf: Tensor, items: str, fresh: bool) -> None:
        variable = self.w.name[leaf]
        self.each[variable] = items
        if not fresh:
            self.lists[variable] = self.each[variable] = self.w.owned("items")
            self.head.append(f"{self.lists[variable]} = list({items})")
            self.whole.add(variable)

    def views(self, node: Tensor) -> bool:
        """Write a view of memory that stays where it is so that it is made once, if the node is one."""
        op, w = node.op, self.w
        if op is None or not node.inputs:
            return False
        x = w.name[node.inputs[0]]
        if op.name not in ("narrow", "transpose") and not (op.name == "reshape" and x in self.whole):
            return False
        if x in self.lists:
            variable, items = w.local(node.label), w.owned("items")
            self.head.append(comment(f"{items} = [{w.by_name(node)} for {x} in {self.lists[x]}]", node, op.name))
            w.name[node], self.lists[variable], self.each[variable] = variable, items, items
        elif x in self.fixed:
            view = w.owned("view")
            self.head.append(comment(f"{view} = {w.by_name(node)}", node, op.name))
            w.name[node] = view
            self.fixed.add(view)
        else:
            return False
        return True

    def returned(self, leaving: Collection[int]) -> str:
        """The line that returns the results; what leaves the function shares no memory with anything."""
        texts: list[str] = []
        taken: set[Tensor] = set()
        reverse = self.loop.reverse
        for i, (where, x) in enumerate(self.loop.results):
            name = self.w.name[x] if where in ("state", "number") else self.stack[x]
            trail = any(stack.target is x and stack.before is not None for stack in self.loop.stacks)
            if where == "last":
                name += "[0]" if reverse else "[-1]"
            elif trail:
                name += "[1:]" if reverse == (where == "before") else "[:-1]"
            alone = where == "number" or (where == "after" and not trail and x not in taken)
            texts.append(name if i not in leaving or alone else f"np.array({name})")
            taken.add(x)
        return f"return ({''.join(f'{text}, ' for text in texts)})"
