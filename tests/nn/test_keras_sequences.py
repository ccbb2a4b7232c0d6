"""Recurrent layers, their wrappers and attention: outputs, gradients, weights and arguments as Keras has them (recurrent.json)."""

from __future__ import annotations

import inspect
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import graphc as gc
from graphc import nn
from graphc.nn import layers

RECORDED: dict[str, Any] = json.loads((Path(__file__).parent / "reference" / "recurrent.json").read_text())
CASES: list[dict[str, Any]] = RECORDED["cases"]
IDS = [f"{i}-{case['class']}" for i, case in enumerate(CASES)]
Array = np.ndarray[Any, Any]


def filled(shape: Any, seed: int) -> Array:
    """As in make_layers.py."""
    return (2 * np.sin(np.arange(1, int(np.prod(shape)) + 1) * 1.7 + seed * 0.9).reshape(shape)).astype("float32")


def made(spec: Any) -> Any:
    """As in make_recurrent.py."""
    if isinstance(spec, list):
        return [made(one) for one in spec]
    if not isinstance(spec, dict):
        return spec
    return getattr(layers, spec["class"])(**{name: made(value) for name, value in spec["arguments"].items()})


def called(case: dict[str, Any], layer: Any, xs: list[Any], forward: nn.Forward) -> Any:
    """What a case says the layer is called with."""
    options = {name: case[name] for name in ("return_attention_scores", "use_causal_mask") if name in case}
    options |= {name: np.array(case[name], bool) for name in ("mask", "attention_mask") if name in case}
    if "states" in case:
        options["initial_state"] = [filled((2, 2), 5 + i) for i in range(case["states"])]
    for x, name in zip(xs, case.get("masks", ()), strict=False):
        forward.masks[x] = gc.constant(np.array(case["masks"][name], bool))
    return layer(xs, **options) if isinstance(layer, layers.Attention) else layer(*xs, **options)


@pytest.mark.parametrize("number", range(len(CASES)), ids=IDS)
def test_outputs_and_gradients_are_those_of_keras(number: int) -> None:
    case = CASES[number]
    arrays = [filled(shape, seed) for seed, shape in enumerate(case.get("shapes", [(2, 4, 3)]))]
    xs: list[Any] = [gc.input(f"x{i}", a.shape, "float32") for i, a in enumerate(arrays)]
    layer = made(case)
    with nn.Forward() as forward:
        ys = gc.core.tree.flatten(called(case, layer, xs, forward))[0]
    assert [[r.name, list(r.variable.shape)] for r in layer.weight_records()] == case["weights"]
    layer.set_weights([filled(shape, i + 7) / 2 for i, (_, shape) in enumerate(case["weights"])])
    total = sum([gc.sum(y * filled(y.shape, i + 3)) for i, y in enumerate(ys)], gc.constant(0.0))
    found = gc.compile(xs, [*ys, *gc.grad(total, layer.trainable_weights)])(*arrays)
    for y, wanted in zip(found, case["outputs"], strict=False):
        assert list(y.shape) == wanted["shape"]
        np.testing.assert_allclose(y.ravel(), wanted["values"], rtol=2e-5, atol=1e-5)
    for gradient, wanted in zip(found[len(ys) :], case["gradients"], strict=True):
        np.testing.assert_allclose(gradient.ravel(), wanted, rtol=2e-4, atol=1e-4)


@pytest.mark.parametrize("name", RECORDED["arguments"])
def test_arguments_are_those_of_keras(name: str) -> None:
    parameters = list(inspect.signature(getattr(layers, name).__init__).parameters.values())[1:]
    needed = inspect.Parameter.empty
    own = [[p.name, "needed" if p.default is needed else p.default] for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    assert own == RECORDED["arguments"][name]
