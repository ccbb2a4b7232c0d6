"""An optimiser around another, for gradients of 16 bits."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from graphc.core import Tensor, Variable
from graphc.core.errors import ArgumentError
from graphc.core.op import as_dtype, as_tensor
from graphc.nn.configured import Configured
from graphc.nn.optimizers.base import Optimizer, Updates
from graphc.precision import LossScale


class LossScaleOptimizer(Optimizer):
    """The optimiser, with a loss scale that adapts itself: :class:`gc.LossScale` under Keras's name, with Keras's first scale.

    Take the gradients of ``scale_loss(loss)``; the step divides them by the scale. Where one of them is not finite the step is left out
    and the scale halved; after ``dynamic_growth_steps`` good steps in a row it is doubled.

    Raises :class:`ArgumentError` for what is no optimiser, or numbers that :class:`gc.LossScale` does not take.
    """

    def __init__(
        self, inner_optimizer: Optimizer, initial_scale: float = 2.0**15, dynamic_growth_steps: int = 2000, name: str | None = None
    ) -> None:
        if not isinstance(inner_optimizer, Optimizer):  # pyright: ignore[reportUnnecessaryIsInstance]  # not every caller runs a type checker
            raise ArgumentError(f"LossScaleOptimizer: {inner_optimizer!r} is no optimizer", fits="an optimizer, such as SGD()")
        super().__init__(name=name)
        self.inner_optimizer = inner_optimizer
        self.scaling = LossScale(initial_scale, growth_interval=dynamic_growth_steps)

    def updates(self, gradients: Mapping[Variable, Any]) -> Updates:
        """The updates of the inner optimiser where all gradients are finite, and those of the scale."""
        given = {weight: as_tensor(g) for weight, g in gradients.items() if g is not None}
        inverse = 1 / self.scaling.scale
        shares = {weight: g * as_dtype(inverse, g.dtype) for weight, g in given.items()}
        new = self.inner_optimizer.updates({weight: shares.get(weight) for weight in gradients})
        return self.scaling.updates(new, list(given.values()))

    def scale_loss(self, loss: Any) -> Any:
        """The loss times the scale: a tensor of a tensor, a number of a number."""
        scale = self.scaling.scale
        return loss * as_dtype(scale, loss.dtype) if isinstance(loss, Tensor) else loss * float(scale.value)

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """As the inner optimiser does."""
        self.inner_optimizer.finalize_variable_values(var_list)

    @property
    def iterations(self) -> int:
        """Of the inner optimiser: how many steps were made, those left out not among them."""
        return self.inner_optimizer.iterations

    @property
    def weights(self) -> list[Variable]:
        """Those that the inner optimiser has made steps for."""
        return self.inner_optimizer.weights

    @property
    def variables(self) -> list[Variable]:
        """All state: the good steps in a row, the scale, and the inner optimiser's."""
        return [self.scaling.good_steps, self.scaling.scale, *self.inner_optimizer.variables]

    def current_rate(self) -> float:
        """Of the inner optimiser."""
        return self.inner_optimizer.current_rate()

    def assign_rate(self, value: Any) -> None:
        """Of the inner optimiser."""
        self.inner_optimizer.assign_rate(value)

    def get_config(self) -> dict[str, Any]:
        """The arguments by name."""
        return Configured.get_config(self)
