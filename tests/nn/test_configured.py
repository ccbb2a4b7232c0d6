"""Configs: what JSON can hold, and the object again out of it."""

from __future__ import annotations

import importlib
import json
from typing import Any, ClassVar

import numpy as np
import pytest

import graphc as gc
from graphc.core import Op
from graphc.nn import layers, losses, metrics, regularizers
from graphc.nn.configured import HOMES, Configured, ConfiguredRecord, class_named, packed, register, unpacked


class Part(Configured):
    """Arguments of each kind."""

    kind = "part"

    def __init__(self, size: int, *, rate: float = 0.5, inner: Any = None, **others: Any) -> None:
        self.size, self.rate, self.inner, self.others = size, rate, inner, others


class Point(ConfiguredRecord):
    """Two fields, one with a default."""

    kind = "point"
    x: float
    y: float = 2.0
    unit: ClassVar[str] = "m"


class NamedPoint(Point):
    """A field before those of the class above."""

    name: str = "p"


class FixedPoint(NamedPoint):
    """One field less."""

    y: ClassVar[float] = 5.0  # type: ignore[misc]


class Unnamed(Configured):
    """Arguments that have no names."""

    kind = "part"

    def __init__(self, *values: int) -> None:
        self.values = values


@register
def cubed(x: Any) -> Any:
    """A function of the user's."""
    return x**3


def through_json(value: Any, objects: Any = None) -> Any:
    return unpacked(json.loads(json.dumps(packed(value))), objects)


def test_a_config_is_the_arguments_with_their_defaults() -> None:
    assert Part(3, flag=True).get_config() == {"size": 3, "rate": 0.5, "inner": None, "flag": True}


def test_a_part_of_a_config_may_be_configured() -> None:
    again = through_json(Part(1, inner=[Part(2), {"a": regularizers.L2(0.5)}]))
    assert isinstance(again, Part)
    assert again.inner[0].size == 2
    assert again.inner[1]["a"] == regularizers.L2(0.5)


@pytest.mark.parametrize(
    "value",
    [None, True, 3, 2.5, "relu", [1, [2.0, "a"]], {"a": [1], "b": {"c": None}}, gc.relu, cubed, losses.mean_squared_error],
    ids=lambda value: getattr(value, "__name__", None) or repr(value),
)
def test_values_come_back(value: Any) -> None:
    assert through_json(value) == value


def offered(home: str) -> dict[str, Any]:
    """The functions of a module, by the names in its ``__all__``, or by those that it defines if it has none."""
    module = importlib.import_module(home)
    own = [name for name, value in vars(module).items() if getattr(value, "__module__", None) == home and name[0] != "_"]
    found = {name: getattr(module, name) for name in getattr(module, "__all__", own)}
    return {name: value for name, value in found.items() if isinstance(value, Op | type(offered))}


@pytest.mark.parametrize(("home", "name"), [(home, name) for home in ("graphc.ops", *HOMES.values()) for name in offered(home)])
def test_every_function_comes_back_from_the_module_that_offers_it(home: str, name: str) -> None:
    function = offered(home)[name]
    written = packed(function)
    assert written["module"] == home
    assert getattr(importlib.import_module(home), written["function"]) is function  # mse is mean_squared_error
    assert unpacked({"module": home, "function": name}) is through_json(function) is function


@pytest.mark.parametrize(
    ("function", "home", "name"),
    [
        (gc.relu, "graphc.ops", "relu"),
        (layers.add, "graphc.nn.layers", "add"),
        (losses.mse, "graphc.nn.losses", "mean_squared_error"),
        (metrics.accuracy, "graphc.nn.metrics", "accuracy"),
        (metrics.cosine_similarity, "graphc.nn.metrics", "cosine_similarity"),
    ],
)
def test_files_go_on_naming_functions_as_they_do(function: Any, home: str, name: str) -> None:
    assert packed(function) == {"module": home, "function": name}
    wrapped = metrics.MeanMetricWrapper(function)
    assert through_json(wrapped).fn is function


def test_arrays_scalars_dtypes_and_tuples_come_back_as_what_json_has() -> None:
    array = np.arange(6, dtype="int16").reshape(2, 3)
    again = through_json(array)
    assert again.dtype == array.dtype
    np.testing.assert_array_equal(again, array)
    assert through_json((np.float32(0.5), np.dtype("float32"), (1, 2))) == [0.5, "float32", [1, 2]]


@pytest.mark.parametrize("value", [object(), lambda x: x, {1: 2}, int, np.sin], ids=["object", "lambda", "key", "class", "numpy's"])
def test_what_has_no_form_is_refused(value: Any) -> None:
    with pytest.raises(gc.errors.ArgumentError, match="has no form in a config"):
        packed(value)


def test_the_argument_that_has_no_form_is_named() -> None:
    with pytest.raises(gc.errors.ArgumentError, match="Part: inner cannot be written down"):
        Part(1, inner=object()).get_config()
    with pytest.raises(gc.errors.ArgumentError, match="values has no names"):
        Unnamed(1, 2).get_config()


@pytest.mark.parametrize(
    ("config", "word"),
    [
        ({"kind": "loss", "class_name": "Missing", "config": {}}, "'Missing', which is not known"),
        ({"kind": "engine", "class_name": "Missing", "config": {}}, "none of this kind is"),
        ({"module": "os", "function": "system"}, "'system', which is not known"),
        ({"module": "graphc.ops", "function": "annotations"}, "'annotations', which is not known"),
        ({"module": "graphc.ops", "function": "pointwise"}, "'pointwise', which is not known"),
        ({"module": "graphc.nn.losses", "function": "_margin"}, "'_margin', which is not known"),
        ({"module": "graphc.nn.metrics", "function": "paired"}, "'paired', which is not known"),
        ({"module": "graphc.nn.metrics", "function": "functions"}, "'functions', which is not known"),
        ({"module": "graphc.nn.metrics", "function": "States"}, "'States', which is not known"),
        ({"module": "graphc.nn.metrics.functions", "function": "accuracy"}, "'accuracy', which is not known"),
    ],
)
def test_nothing_is_imported_or_run_because_a_config_names_it(config: dict[str, Any], word: str) -> None:
    with pytest.raises(gc.errors.ArgumentError) as caught:
        unpacked(config)
    assert word in str(caught.value)


def test_classes_of_users_are_apart_from_those_of_graphc_and_may_be_given() -> None:
    class Hinge(losses.Loss):
        """Not graphc's."""

    assert packed(Hinge())["class_name"] == "Custom>Hinge"
    assert class_named("Hinge", "loss") is losses.Hinge
    assert class_named("Custom>Hinge", "loss") is Hinge
    config = {"kind": "part", "class_name": "Elsewhere", "config": {"size": 1}}
    assert isinstance(unpacked(config, {"Elsewhere": Part}), Part)
    assert unpacked({"module": "theirs", "function": "f"}, {"f": abs}) is abs


def test_a_record_is_its_fields() -> None:
    assert Point(1.0) == Point(x=1.0, y=2.0) != Point(1.0, 3.0)
    assert len({Point(1.0), Point(1.0, 2.0), Point(2.0)}) == 2
    assert repr(Point(1.0)) == "Point(x=1.0, y=2.0)"
    assert NamedPoint("q", 1.0).get_config() == {"name": "q", "x": 1.0, "y": 2.0}
    assert FixedPoint("q", 1.0).get_config() == {"name": "q", "x": 1.0}
    assert Point(1.0) != NamedPoint(x=1.0)


def test_a_record_stays_as_it_is() -> None:
    with pytest.raises(AttributeError, match="another Point"):
        Point(1.0).x = 2.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: Point(), "Point needs x"),
        (lambda: Point(1, 2, 3), "Point takes 2 arguments and not 3"),
        (lambda: Point(1, x=2), "x is given twice"),
        (lambda: Point(1, z=2), "z is no argument"),
        (lambda: FixedPoint(x=1, y=2), "y is no argument"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(call: Any, word: str) -> None:
    with pytest.raises(TypeError, match=word):
        call()
