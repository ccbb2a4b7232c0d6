"""Objects that can say how they were made: ``get_config()`` gives what JSON can hold, ``from_config()`` makes the object again.

What layers, losses, metrics, optimisers and the rest have in common is here, in one place, so that a model is saved without anything
being known of its parts. A part of a config that is itself such an object is ``{"kind": ..., "class_name": ..., "config": ...}``.
Nothing that a file names is imported or run: classes are looked up among those that were declared, functions among graphc's public ones
and those given to :func:`register`.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any, ClassVar, Final, Self, TypeVar, cast, dataclass_transform

import numpy as np

from graphc.core import Op, dtypes
from graphc.core.errors import ArgumentError, FrozenError, SignatureError, near, opened

Objects = Mapping[str, Any]
"""Classes and functions by the names that a config has for them."""
F = TypeVar("F", bound=Callable[..., Any])

HOMES: Final = {
    "constraint": "graphc.nn.constraints",
    "initializer": "graphc.nn.initializers",
    "layer": "graphc.nn.layers",
    "loss": "graphc.nn.losses",
    "metric": "graphc.nn.metrics",
    "optimizer": "graphc.nn.optimizers",
    "regularizer": "graphc.nn.regularizers",
    "schedule": "graphc.nn.optimizers.schedules",
}
"""Which module declares the classes of a kind; it is imported when a config names one."""
_FUNCTIONS: Final = ("graphc.ops", *HOMES.values())
"""Which modules a config names for functions: that which offers one, wherever behind it the function is defined."""
_classes: dict[tuple[str, str], type[Configured]] = {}
_registered: dict[str, Callable[..., Any]] = {}
_CUSTOM: Final = "Custom>"


def written_name(cls: type) -> str:
    """The name of a class in configs: its own, with ``Custom>`` before it if it is not graphc's, so that nothing of graphc is hidden."""
    return cls.__name__ if cls.__module__.startswith("graphc.") else _CUSTOM + cls.__name__


class Configured:
    """An object whose config is the arguments that it was made with, by name, with the defaults of those that were not given.

    A subclass writes its ``__init__`` as it likes and has a config by that, as long as every argument is something that :func:`packed`
    takes. ``get_config`` may be overridden to say more. A subclass is known by its own name to ``unpacked`` from its declaration on.
    """

    kind: ClassVar[str] = "object"
    """``"layer"``, ``"loss"`` ...: names are unique within a kind."""
    _arguments: tuple[tuple[Any, ...], dict[str, Any]]

    def __init_subclass__(cls, **named: Any) -> None:
        super().__init_subclass__(**named)
        _classes[cls.kind, written_name(cls)] = cls
        if "__init__" in vars(cls):
            cls.__init__ = opened(cls.__init__)

    def __new__(cls, *values: Any, **named: Any) -> Self:
        """The object, which remembers its arguments."""
        self = super().__new__(cls)
        self.__dict__["_arguments"] = values, named
        return self

    def get_config(self) -> dict[str, Any]:
        """The arguments by name: numbers, strings, None, lists and dicts of them, which JSON can hold.

        Raises :class:`ArgumentError` for an argument that has no such form.
        """
        return {name: self._packed(name, value) for name, value in self._named_arguments().items()}

    @classmethod
    def from_config(cls, config: Objects, custom_objects: Objects | None = None) -> Self:
        """The object with this config. ``custom_objects`` has classes and functions by name that graphc does not know."""
        return cls(**{name: unpacked(value, custom_objects) for name, value in config.items()})

    def _named_arguments(self) -> dict[str, Any]:
        values, named = self._arguments
        signature = inspect.signature(type(self).__init__)
        bound = signature.bind(self, *values, **named)
        bound.apply_defaults()
        found: dict[str, Any] = {}
        for name, value in [*bound.arguments.items()][1:]:
            match signature.parameters[name].kind:
                case inspect.Parameter.VAR_KEYWORD:
                    found |= value
                case inspect.Parameter.VAR_POSITIONAL:
                    raise ArgumentError(f"{type(self).__name__}: *{name} has no names for a config", fits="arguments that have names")
                case _:
                    found[name] = value
        return found

    def _packed(self, name: str, value: Any) -> Any:
        try:
            return packed(value)
        except ArgumentError as error:
            raise ArgumentError(f"{type(self).__name__}: {name} cannot be written down", given=[error.asked], fits=error.fits) from None


@dataclass_transform()
class ConfiguredRecord(Configured):
    """A configured object that is nothing but its arguments: public annotations are fields, what they are set to is their default.

    Fields of a class come before those that it inherits, as ``reduction`` and ``name`` come last in Keras; one that a class declares
    as ``ClassVar`` is a field no more. They are not to be changed. Records with equal configs are equal. ``__post_init__`` checks the
    fields, and may bring them to a canonical form by ``_set``.
    ``kw_only=True`` says to type checkers that the inherited fields are named. A subclass that writes its own ``__init__`` has its
    arguments for a config, as any :class:`Configured`.
    """

    fields: ClassVar[tuple[str, ...]] = ()

    def __init_subclass__(cls, *, kw_only: bool = False, **named: Any) -> None:
        super().__init_subclass__(**named)
        declared = cls.__annotations__
        own = [name for name, kind in declared.items() if name[0] != "_" and "ClassVar" not in str(kind)]
        cls.fields = (*own, *[name for name in cls.fields if name not in declared])

    def __init__(self, *values: Any, **named: Any) -> None:
        title = type(self).__name__
        if len(values) > len(self.fields):
            raise SignatureError(f"{title} takes {len(self.fields)} arguments and not {len(values)}", fits=", ".join(self.fields) or "none")
        given = dict(zip(self.fields, values, strict=False))
        for name in named:
            if name in given or name not in self.fields:
                what = "is given twice" if name in given else f"is no argument{near(name, self.fields)}"
                raise SignatureError(f"{title}: {name} {what}", fits=", ".join(self.fields) or "no arguments")
        given |= named
        for name in self.fields:
            if name not in given and not hasattr(type(self), name):
                raise SignatureError(f"{title} needs {name}", fits=", ".join(self.fields))
        self.__dict__.update(given)
        self.__post_init__()

    def __post_init__(self) -> None:
        """Check the fields. Raises :class:`ArgumentError`."""

    def _set(self, name: str, value: Any) -> None:
        """Bring a field to its canonical form, in ``__post_init__``."""
        self.__dict__[name] = value

    def _named_arguments(self) -> dict[str, Any]:
        if type(self).__init__ is not ConfiguredRecord.__init__:
            return super()._named_arguments()
        return {name: getattr(self, name) for name in self.fields}

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.fields:
            raise FrozenError(f"{type(self).__name__}.{name} is not to be changed", fits=f"another {type(self).__name__}")
        super().__setattr__(name, value)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _comparable(self) == _comparable(cast("ConfiguredRecord", other))

    def __hash__(self) -> int:
        return hash(repr(self))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join([f'{name}={getattr(self, name)!r}' for name in self.fields])})"


def register(function: F) -> F:
    """Make a function of the user's known by its name, so that a config can name it: ``@register`` above its ``def``."""
    _registered[function.__name__] = function
    return function


def packed(value: Any) -> Any:
    """What JSON can hold instead of ``value``, which :func:`unpacked` brings back; tuples come back as lists.

    Takes numbers, strings, None, truth values, lists, tuples, dicts with strings for keys, NumPy arrays, scalars and dtypes, configured
    objects, public functions of graphc and registered ones. Raises :class:`ArgumentError` for anything else.
    """
    if isinstance(value, np.generic):
        value = cast("Any", value).item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [packed(item) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        return {_key(key): packed(item) for key, item in cast("dict[Any, Any]", value).items()}
    if isinstance(value, np.ndarray):
        array = cast("np.ndarray[Any, Any]", value)
        return {"array": array.ravel().tolist(), "shape": list(array.shape), "dtype": array.dtype.name}
    if isinstance(value, np.dtype):
        return cast("np.dtype[Any]", value).name
    if isinstance(value, Configured):
        return {"kind": value.kind, "class_name": written_name(type(value)), "config": value.get_config()}
    if callable(value) and not isinstance(value, type):
        return _packed_function(value)
    raise _unwritable(value)


def unpacked(value: Any, custom_objects: Objects | None = None) -> Any:
    """The value that :func:`packed` made ``value`` of.

    Raises :class:`ArgumentError` where a class or a function is named that is not known.
    """
    if isinstance(value, list):
        return [unpacked(item, custom_objects) for item in cast("list[Any]", value)]
    if not isinstance(value, dict):
        return value
    given = cast("dict[str, Any]", value)
    if given.keys() == {"kind", "class_name", "config"}:
        return class_named(given["class_name"], given["kind"], custom_objects).from_config(given["config"], custom_objects)
    if given.keys() == {"module", "function"}:
        return _function_named(given["module"], given["function"], custom_objects)
    if given.keys() == {"array", "shape", "dtype"}:
        return np.array(given["array"], dtypes.numpy_dtype(dtypes.canonical(given["dtype"]))).reshape(given["shape"])
    return {key: unpacked(item, custom_objects) for key, item in given.items()}


def class_named(name: str, kind: str, custom_objects: Objects | None = None) -> type[Configured]:
    """The declared class of this kind and name, as ``class_name`` of a config has it."""
    custom = (custom_objects or {}).get(name.removeprefix(_CUSTOM))
    if isinstance(custom, type) and issubclass(custom, Configured):
        return custom
    if (kind, name) not in _classes and kind in HOMES:
        importlib.import_module(HOMES[kind])
    if (kind, name) not in _classes:
        known = [written for one, written in _classes if one == kind]
        fits = f"a declared class ({', '.join(sorted(known)) or 'none of this kind is'}), or custom_objects={{{name!r}: the class}}"
        raise ArgumentError(f"a config names a {kind} {name!r}, which is not known", fits=fits)
    return _classes[kind, name]


def _comparable(record: ConfiguredRecord) -> Any:
    """The config, or the arguments as they are where one of them cannot be written down."""
    try:
        return record.get_config()
    except ArgumentError:
        return record._named_arguments()  # pyright: ignore[reportPrivateUsage]


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise _unwritable(key)
    return key


def _packed_function(function: Callable[..., Any]) -> dict[str, str]:
    name = str(getattr(function, "name", None) or getattr(function, "__name__", ""))
    if _registered.get(name) is function:
        return {"module": _CUSTOM, "function": name}
    for module in _FUNCTIONS:
        if _public(importlib.import_module(module), name) is function:
            return {"module": module, "function": name}
    raise _unwritable(function)


def _function_named(module: str, name: str, custom_objects: Objects | None) -> Callable[..., Any]:
    found = (custom_objects or {}).get(name)
    if found is None and module == _CUSTOM:
        found = _registered.get(name)
    elif found is None and module in _FUNCTIONS:
        found = _public(importlib.import_module(module), name)
    if not callable(found):
        fits = f"@register above its definition, or custom_objects={{{name!r}: the function}}"
        raise ArgumentError(f"a config names a function {name!r}, which is not known", fits=fits)
    return found


def _public(module: Any, name: str) -> Any:
    """A function that a module offers: one of its ``__all__``, or that it defines if it has none; nothing that it imports for itself."""
    found = getattr(module, name, None)
    if name.startswith("_") or not isinstance(found, Op | FunctionType):
        return None
    own = name in module.__all__ if hasattr(module, "__all__") else found.__module__ == module.__name__
    return found if own else None


def _unwritable(value: Any) -> ArgumentError:
    fits = "numbers, strings, lists and dicts of them, arrays, configured objects, functions of graphc or under @nn.configured.register"
    return ArgumentError(f"{value!r} of type {type(value).__name__} has no form in a config", fits=fits)
