"""What all optimisers have in common: the learning rate, slots, clipping, weight decay, averages and accumulation.

An optimiser of its own is a subclass that declares its numbers and writes its formula in :meth:`Optimizer.step`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, cast

import numpy as np

import graphc as gc
from graphc.core import Tensor, Variable, as_tensor, describe, dtypes, substitute, variable
from graphc.core.errors import ArgumentError, DTypeError, ShapeError, UnfinishedError, entries, warn
from graphc.core.op import as_dtype
from graphc.nn.configured import ConfiguredRecord, packed
from graphc.nn.immediate import variable_of
from graphc.nn.naming import snake_case, unique_name
from graphc.nn.optimizers import clipping
from graphc.nn.optimizers.ranges import FACTOR, FRACTION, POSITIVE, UNIT, Range, whole
from graphc.nn.optimizers.schedules import LearningRateSchedule
from graphc.pipeline import Function, compile, evaluate

Updates = dict[Variable, Tensor]
Pairs = Sequence[tuple[Variable, Tensor]]


class LearningRate:
    """The field ``learning_rate``: a number, which may be assigned at any time and is read as it stands, or a schedule.

    Compiled steps read the number from a variable, so that they need not be compiled again.
    """

    def __init__(self, default: float) -> None:
        self.default = default

    def __get__(self, optimizer: Optimizer | None, owner: type) -> float:
        return self.default if optimizer is None else optimizer.current_rate()

    def __set__(self, optimizer: Optimizer, value: float | LearningRateSchedule) -> None:
        optimizer.assign_rate(value)


class Step:
    """What a formula is given beside a weight and its gradient: the rate, the count and what the weight has for slots."""

    rate: Tensor
    """The learning rate, in the dtype that is computed in."""
    count: Tensor
    """The number of this step, 1 in the first, in the same dtype."""

    def __init__(self, optimizer: Optimizer, weight: Variable, new: Updates, rate: Tensor, count: Tensor) -> None:
        self.weight, self.rate, self.count = weight, rate, count
        self._optimizer, self._new = optimizer, new

    def slot(self, name: str, first: float = 0.0, shape: Sequence[int] | None = None) -> Variable:
        """What :meth:`keep` kept of this name in the step before, and ``first`` in the first. It has the weight's shape if no other."""
        return self._optimizer.slot(self.weight, name, first, shape)

    def keep(self, name: str, value: Tensor) -> Tensor:
        """Remember the value for the next step, and return it."""
        self._new[self.slot(name, shape=cast("tuple[int, ...]", value.shape))] = value
        return value

    def mean(self, name: str, value: Tensor, rho: float | Tensor) -> Tensor:
        """The exponential moving average ``m = rho * m + (1 - rho) * value``, kept."""
        return self.keep(name, rho * self.slot(name, shape=cast("tuple[int, ...]", value.shape)) + (1 - rho) * value)

    def shared(self, name: str, first: float) -> Variable:
        """A scalar slot that all weights share, those of one dtype."""
        return self._optimizer.slot(None, f"{name}_{self.rate.dtype}", first, (), self.rate.dtype)

    def keep_shared(self, slot: Variable, value: Tensor) -> Tensor:
        """Remember the value of a shared slot."""
        self._new[slot] = value
        return value


@entries(
    *("updates", "apply_gradients", "apply", "build", "scale_loss", "finalize_variable_values", "assign_rate", "exclude_from_weight_decay")
)
class Optimizer(ConfiguredRecord):
    """What Keras's optimisers have in common.

    Args:
        learning_rate: a number, or a schedule.
        weight_decay: a share of each weight, times the learning rate, that is taken off before the step (decoupled, as in AdamW).
        clipnorm: the largest norm of a gradient; longer ones are shortened.
        clipvalue: the largest size of an element of a gradient.
        global_clipnorm: the largest norm of all gradients together. Where that is not finite, they become NaN.
        use_ema: keep an exponential moving average of each weight, with ``ema_momentum``.
        ema_overwrite_frequency: after every so many steps weights become their averages.
        loss_scale_factor: what ``scale_loss`` multiplies by and gradients are divided by.
        gradient_accumulation_steps: only every so many calls there is a step, by the mean of the gradients since the last.
        name: what it is called, the class's name in small letters if nothing else.

    Weights of 16 bits have slots in float32 and are computed in it; Keras does that in 16 bits, in which ``1 - beta_2`` is 0.
    State is kept for each weight, so that everything made by one optimiser goes on where the last step ended.
    """

    kind: ClassVar[str] = "optimizer"
    ranges: ClassVar[Mapping[str, Range]] = {
        "adam_beta_1": FRACTION,
        "adam_beta_2": FRACTION,
        "beta_1": FRACTION,
        "beta_2": FRACTION,
        "clipnorm": POSITIVE,
        "clipvalue": POSITIVE,
        "ema_momentum": UNIT,
        "global_clipnorm": POSITIVE,
        "loss_scale_factor": POSITIVE,
        "momentum": UNIT,
        "rho": FRACTION,
        "weight_decay": FACTOR,
    }
    """What numbers may be; what is not listed and is a float by default is at least 0."""

    optional: ClassVar[tuple[str, ...]] = ()
    """Which numbers may be None, beside those that are by default."""

    learning_rate: LearningRate = LearningRate(0.001)
    weight_decay: float | None = None
    clipnorm: float | None = None
    clipvalue: float | None = None
    global_clipnorm: float | None = None
    use_ema: bool = False
    ema_momentum: float = 0.99
    ema_overwrite_frequency: int | None = None
    loss_scale_factor: float | None = None
    gradient_accumulation_steps: int | None = None
    name: str | None = None

    # ---------------------------------------------------------------- to be written by subclasses
    def step(self, w: Tensor, g: Tensor, at: Step) -> Tensor:
        """The new weight, of the weight (decayed, if it decays) and its gradient (clipped). What is to be remembered goes to ``at``."""
        raise UnfinishedError(f"{type(self).__name__}.step(w, g, at)", fits="a subclass that defines it")

    def decay_of(self, weight: Variable) -> float | None:
        """The weight decay of this weight, for those that :meth:`exclude_from_weight_decay` does not name."""
        return self.weight_decay

    def __post_init__(self) -> None:
        """Check the fields. Raises :class:`ArgumentError`."""
        title = type(self).__name__
        for field in self.fields:
            default: Any = getattr(type(self), field, None)
            allowed = self.ranges.get(field, FACTOR if type(default) is float else None)
            value: Any = None if field == "learning_rate" else getattr(self, field)
            if allowed and field != "learning_rate" and not (value is None and (default is None or field in self.optional)):
                allowed.check(f"{title}: {field}", value)
        whole(f"{title}: ema_overwrite_frequency", self.ema_overwrite_frequency, 1)
        whole(f"{title}: gradient_accumulation_steps", self.gradient_accumulation_steps, 2)
        clips = [f"{name}={value}" for name in ("clipnorm", "clipvalue", "global_clipnorm") if (value := getattr(self, name)) is not None]
        if len(clips) > 1:
            raise ArgumentError(f"{title}: gradients are clipped in one way", given=clips, fits="one of them")
        self._set("name", self.name or unique_name(snake_case(title)))
        self._counter = variable(0, "iterations", "int32")
        self._rates: dict[str, Variable] = {}
        self._slots: dict[Variable | None, dict[str, Variable]] = {}
        self._functions: dict[tuple[Variable, ...], Function] = {}
        self._spared: tuple[set[Variable], re.Pattern[str] | None] = (set(), None)
        self._rate = self._checked_rate(self.__dict__.pop("learning_rate", type(self).learning_rate))

    # ---------------------------------------------------------------- graphs
    def updates(self, gradients: Mapping[Variable, Any]) -> Updates:
        """The new values of the variables, of their slots and of ``iterations``, for ``gc.compile(..., updates=...)``.

        Variables whose gradient is None stay out, with a warning.

        Raises:
            ShapeError: a gradient has not its variable's shape.
            DTypeError: a variable that holds no floats.
            ArgumentError: something that is no variable, or gradients that are all None.
        """
        present = _present(gradients)
        pairs = [(weight, as_dtype(as_tensor(g), _computed_in(weight))) for weight, g in present.items()]
        if not pairs:
            return {}
        for weight in present:
            self._slots.setdefault(weight, {})
        if self.loss_scale_factor is not None:
            pairs = [(w, g / self.loss_scale_factor) for w, g in pairs]
        new = self._accumulated(pairs, self.gradient_accumulation_steps) if self.gradient_accumulation_steps else self._stepped(pairs)
        if self.use_ema:
            new |= self._averaged({weight: new[weight] for weight, _ in pairs})
        new[self._counter] = self._counter + 1
        return {state: as_dtype(value, state.dtype) for state, value in new.items()}

    def _stepped(self, pairs: Pairs) -> Updates:
        """One step: clipping, decay, the formula."""
        new: Updates = {}
        for weight, g in self._clipped(pairs):
            dtype = _computed_in(weight)
            rate = self._rate_in(dtypes.real(dtype))
            w, decay = as_dtype(weight, dtype), None if self._is_spared(weight) else self.decay_of(weight)
            if decay:
                w = w - w * (rate * decay)
            new[weight] = self.step(w, g, Step(self, weight, new, rate, as_dtype(self._steps() + 1, dtypes.real(dtype))))
        return new

    def _clipped(self, pairs: Pairs) -> Pairs:
        if self.clipnorm is not None:
            return [(w, clipping.by_norm(g, self.clipnorm)) for w, g in pairs]
        if self.clipvalue is not None:
            return [(w, gc.clip(g, -self.clipvalue, self.clipvalue)) for w, g in pairs]
        if self.global_clipnorm is not None:
            shortened = clipping.by_global_norm([g for _, g in pairs], self.global_clipnorm)
            return [(w, g) for (w, _), g in zip(pairs, shortened, strict=True)]
        return pairs

    def _accumulated(self, pairs: Pairs, every: int) -> Updates:
        """In every so many calls the step by the mean gradient; in the others the sum of gradients alone changes.

        The step is a branch of ``cond``: what it reads comes in as operands, so that other calls do not compute it.
        """
        sums = [self.slot(weight, "gradient_accumulator") for weight, _ in pairs]
        totals = [total + g for total, (_, g) in zip(sums, pairs, strict=True)]
        stand_ins = [gc.input(f"g{i}", total.shape, total.dtype) for i, total in enumerate(totals)]
        new = self._stepped([(weight, g / every) for (weight, _), g in zip(pairs, stand_ins, strict=True)])
        state = list(new)
        read: list[Tensor] = [*state, *sums, self._counter, *self._rates.values()]
        values = [as_dtype(value, slot.dtype) for slot, value in new.items()]

        def step(*operands: Tensor) -> list[Tensor]:
            given = dict(zip([*stand_ins, *read], operands, strict=True))
            return [*substitute(values, given), *[gc.zeros_like(total) for total in operands[: len(totals)]]]

        def wait(*operands: Tensor) -> list[Tensor]:
            return [*operands[len(totals) : len(totals) + len(state)], *operands[: len(totals)]]

        due = gc.equal((self._counter + 1) % every, 0)
        return dict(zip([*state, *sums], gc.cond(due, step, wait, *totals, *read), strict=True))

    def _averaged(self, weights: Updates) -> Updates:
        """The averages of the new weights, and where they overwrite the weights, those."""
        new: Updates = {}
        step = self._steps()
        for weight, value in weights.items():
            value = as_dtype(value, _computed_in(weight))
            momentum = gc.where(gc.equal(step, 0), 0.0, as_dtype(self.ema_momentum, dtypes.real(value.dtype)))
            slot = self.slot(weight, "average")
            new[slot] = average = momentum * slot + (1 - momentum) * value
            if self.ema_overwrite_frequency:
                new[weight] = gc.where(gc.equal((step + 1) % self.ema_overwrite_frequency, 0), average, value)
        return new

    def _steps(self) -> Tensor:
        """How many steps there were: of several calls one, where gradients are accumulated."""
        every = self.gradient_accumulation_steps
        return gc.floor_divide(self._counter, every) if every else self._counter

    # ---------------------------------------------------------------- at once
    def apply_gradients(self, grads_and_vars: Iterable[tuple[Any, Variable]]) -> int:
        """One step at once, by pairs of a gradient's value and a variable. Returns ``iterations``.

        Gradients are arrays, or tensors that need no inputs. Raises what :meth:`updates` raises.
        """
        pairs = [(gradient, weight) for gradient, weight in grads_and_vars]
        self.apply([gradient for gradient, _ in pairs], [weight for _, weight in pairs])
        return self.iterations

    def apply(self, grads: Sequence[Any], trainable_variables: Sequence[Variable] | None = None) -> None:
        """One step at once, with the variables in the order of the gradients; by default those of :meth:`build`."""
        weights = self.weights if trainable_variables is None else [variable_of(weight) for weight in trainable_variables]
        if len(grads) != len(weights):
            given = [f"{len(grads)} gradients", f"{len(weights)} variables"]
            raise ArgumentError(f"{type(self).__name__}.apply: one gradient for each variable", given=given, fits="lists of one length")
        present = _present(dict(zip(weights, _evaluated(grads), strict=True)))
        if present:
            self._function(tuple(present))(*[np.asarray(g, dtypes.numpy_dtype(_computed_in(w))) for w, g in present.items()])

    def _function(self, weights: tuple[Variable, ...]) -> Function:
        """A step compiled for NumPy, of the gradients of these variables."""
        if weights not in self._functions:
            gradients = [gc.input(f"gradient{i}", weight.shape, _computed_in(weight)) for i, weight in enumerate(weights)]
            self._functions[weights] = compile(gradients, [], updates=self.updates(dict(zip(weights, gradients, strict=True))))
        return self._functions[weights]

    def build(self, variables: Iterable[Variable]) -> None:
        """Make the slots of these variables, which the first step does else; for who reads or sets :attr:`variables` before."""
        self.updates({weight: gc.zeros_like(weight) for weight in variables})

    def scale_loss(self, loss: Any) -> Any:
        """The loss to take gradients of: times ``loss_scale_factor``, where there is one."""
        return loss if self.loss_scale_factor is None else loss * self.loss_scale_factor

    def finalize_variable_values(self, var_list: Iterable[Variable]) -> None:
        """With ``use_ema``, replace these variables by their averages, as at the end of training."""
        for weight in var_list if self.use_ema else ():
            average = self._slots.get(weight, {}).get("average")
            if average is not None:
                weight.assign(average.value.astype(dtypes.numpy_dtype(weight.dtype)))

    # ---------------------------------------------------------------- state
    @property
    def iterations(self) -> int:
        """How many steps were made."""
        return int(self._counter.value) // (self.gradient_accumulation_steps or 1)

    @property
    def weights(self) -> list[Variable]:
        """The variables that steps were declared for, in that order."""
        return [weight for weight in self._slots if weight is not None]

    @property
    def variables(self) -> list[Variable]:
        """All state: the count of calls, the learning rate if that is a number, and the slots in the order in which they were made."""
        slots = [slot for owned in self._slots.values() for slot in owned.values()]
        return [self._counter, *self._rates.values(), *slots]

    def slot(
        self, weight: Variable | None, name: str, first: float = 0.0, shape: Sequence[int] | None = None, dtype: str | None = None
    ) -> Variable:
        """The slot of this name of a weight, or of all where that is None; made where it is not there, filled with ``first``."""
        owned = self._slots.setdefault(weight, {})
        if name not in owned:
            if weight is not None:
                dtype = dtype or _computed_in(weight)
                shape = cast("tuple[int, ...]", weight.shape) if shape is None else shape
            label = f"{weight.label}/{name}" if weight is not None and weight.label else name
            owned[name] = variable(np.full(shape or (), first, dtypes.numpy_dtype(dtype or "float32")), label)
        return owned[name]

    def current_rate(self) -> float:
        """The learning rate of the next step."""
        if isinstance(self._rate, LearningRateSchedule):
            return float(self._rate(int(self._counter.value)))
        held = max(self._rates.values(), key=lambda rate: dtypes.itemsize(rate.dtype), default=None)
        return self._rate if held is None else float(str(held.value))  # 0.001 and not its float32, 0.0010000000475

    def assign_rate(self, value: float | LearningRateSchedule) -> None:
        """Set the learning rate of the steps to come. Raises :class:`ArgumentError` where a schedule says it, or is to say it too late."""
        new = self._checked_rate(value)
        if isinstance(self._rate, LearningRateSchedule):
            raise ArgumentError(
                f"{type(self).__name__}.learning_rate is said by a schedule",
                given=[repr(self._rate)],
                fits="an optimizer made with a number",
            )
        if self._rates and isinstance(new, LearningRateSchedule):
            fits = "a number, or another optimizer"
            raise ArgumentError(f"{type(self).__name__}.learning_rate: a schedule after the first step", given=[repr(new)], fits=fits)
        for held in self._rates.values():
            held.assign(new)
        self._rate = new

    def exclude_from_weight_decay(self, var_list: Iterable[Variable] | None = None, var_names: Iterable[str] | None = None) -> None:
        """Variables that do not decay: these, and those in whose name one of these patterns is found.

        Raises :class:`ArgumentError` after the first step was declared.
        """
        if self._slots:
            raise ArgumentError(f"{type(self).__name__}.exclude_from_weight_decay: there are steps already", fits="a call before the first")
        names = list(var_names or ())
        self._spared = (set(var_list or ()), re.compile("|".join(names)) if names else None)

    def get_config(self) -> dict[str, Any]:
        """The arguments by name, with the learning rate as it is now."""
        rate = self._rate if isinstance(self._rate, LearningRateSchedule) else self.current_rate()
        return {name: packed(rate) if name == "learning_rate" else packed(getattr(self, name)) for name in self.fields}

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "learning_rate":
            self.assign_rate(value)
        else:
            super().__setattr__(name, value)

    def __repr__(self) -> str:
        told = {name: getattr(self, name) for name in self.fields if name != "name" and getattr(self, name) != getattr(type(self), name)}
        if isinstance(self._rate, LearningRateSchedule):
            told["learning_rate"] = self._rate
        return f"{type(self).__name__}({', '.join([f'{name}={value!r}' for name, value in told.items()])})"

    def __eq__(self, other: object) -> bool:
        return self is other  # it has a state

    def __hash__(self) -> int:
        return id(self)

    # ---------------------------------------------------------------- parts
    def _checked_rate(self, value: Any) -> float | LearningRateSchedule:
        if isinstance(value, LearningRateSchedule):
            return value
        FACTOR.check(f"{type(self).__name__}: learning_rate", value, "or a schedule")
        return float(value)

    def _rate_in(self, dtype: str) -> Tensor:
        """The learning rate as compiled steps read it: a schedule's graph, or a variable, of which there is one for each dtype."""
        if isinstance(self._rate, LearningRateSchedule):
            count = as_dtype(self._counter, dtype) if dtype == "float64" else self._counter
            return as_dtype(self._rate(count), dtype)
        if dtype not in self._rates:
            self._rates[dtype] = variable(self.current_rate(), "learning_rate", dtype)
        return self._rates[dtype]

    def _is_spared(self, weight: Variable) -> bool:
        chosen, pattern = self._spared
        return weight in chosen or bool(pattern and pattern.search(weight.label or ""))


def _present(gradients: Mapping[Variable, Any]) -> dict[Variable, Any]:
    """The gradients, tensors or arrays, that are not None, and fit their variables."""
    for weight, gradient in gradients.items():
        if not isinstance(weight, Variable):  # pyright: ignore[reportUnnecessaryIsInstance]  # not every caller runs a type checker
            raise ArgumentError(f"updates: {weight!r} is no variable", fits="{variable: gradient} with variables made by gc.variable")
        if not dtypes.is_inexact(weight.dtype):
            raise DTypeError(f"updates: {weight.label} holds no floats", given=[describe(weight)], fits="a dtype of floats")
        if gradient is not None and tuple(np.shape(gradient) if not isinstance(gradient, Tensor) else gradient.shape) != weight.shape:
            given = [describe(weight), describe(gradient) if isinstance(gradient, Tensor) else f"gradient: {np.shape(gradient)}"]
            raise ShapeError(f"updates: the gradient for {weight.label} has another shape", given=given, fits=str(weight.type))
    present = {weight: gradient for weight, gradient in gradients.items() if gradient is not None}
    if len(present) < len(gradients):
        names = ", ".join([str(weight.label) for weight in gradients if weight not in present])
        if not present:
            raise ArgumentError(f"updates: no variable has a gradient ({names})", fits="a gradient for one of them at least")
        warn(f"no gradient for {names}, which will not change")
    return present


def _computed_in(weight: Variable) -> str:
    return dtypes.wide(weight.dtype)


def _evaluated(gradients: Sequence[Any]) -> list[Any]:
    """Gradients that are tensors as values, computed together."""
    graphs = [g for g in gradients if isinstance(g, Tensor)]
    values = iter(evaluate(graphs) if graphs else [])
    return [next(values) if isinstance(g, Tensor) else g for g in gradients]
