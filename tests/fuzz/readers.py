"""Everything that graphc reads: a whole file of each kind as a tree, how a tree becomes a file, and what reads it."""

from __future__ import annotations

import functools
import pickle
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from formats import gzipped, json_text, of_safetensors, plain_arrays, to_h5, to_idx, to_safetensors, to_zip

import graphc as gc
from graphc import nn
from graphc.export import file as export_file
from graphc.lower import machine
from graphc.nn import layers, saving
from graphc.nn.datasets import idx, pickled, unpack

Rng = np.random.default_rng(0)


@dataclass(frozen=True)
class Reader:
    """A kind of file.

    ``wholes`` gives trees of whole files, ``encoded`` the bytes of a tree; ``read`` reads a file and returns, or raises an error of ours.
    ``files`` are the parts of graphc whose lines tell whether an input does something new.
    """

    wholes: Callable[[], Sequence[Any]]
    encoded: Callable[[Any], bytes]
    read: Callable[[Path], Any]
    files: tuple[str, ...]


def _saved(write: Callable[[Path], Any]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "whole.weights.h5"
        write(path)
        return path.read_bytes()


# ---------------------------------------------------------------- weights
def _variables() -> list[Any]:
    return [gc.variable(np.ones((2, 3), "float32"), "w"), gc.variable(np.ones(3, "float64"), "b"), gc.variable(True, "on")]


def _weights() -> Sequence[Any]:
    return [of_safetensors(_saved(lambda path: nn.save_weights(path, _variables())), "graphc")]


def _read_weights(path: Path) -> None:
    variables = _variables()
    nn.load_weights(path, variables)
    assert [v.value.shape for v in variables] == [(2, 3), (3,), ()], "weights of other shapes"


# ---------------------------------------------------------------- models
def _stack() -> Any:
    parts = [
        layers.Dense(3, "relu", kernel_regularizer="l2"),
        layers.BatchNormalization(),
        layers.Dropout(0.3),
        layers.PReLU(),
        layers.Dense(1),
    ]
    model = nn.Sequential([nn.Input((4,)), *parts])
    schedule = nn.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)
    metrics = [nn.metrics.AUC(num_thresholds=5), "mae", nn.metrics.MeanIoU(2)]
    model.compile(nn.optimizers.AdamW(schedule, use_ema=True), nn.losses.Huber(), metrics=metrics)
    model.fit(Rng.random((4, 4), "float32"), np.ones((4, 1), "float32"), batch_size=2, epochs=1, verbose=0)
    return model


def _graph() -> Any:
    x = nn.Input((4,), name="x")
    y = gc.cast(layers.Dense(4)(x), dtype="float64").reshape((-1, 2, 2))[:, ::-1, 1:]
    z = gc.concatenate([y, gc.sin(y) * 2 + gc.constant([[1.0], [2.0]])], 1)
    return nn.Model(x, [gc.sum(z, axis=(1, 2)), gc.softmax(layers.Flatten()(z)), gc.take(x, np.array([0, 1]), axis=1)])


def _sequence() -> Any:
    return nn.Sequential(
        [nn.Input((3, 2)), layers.Bidirectional(layers.LSTM(2, return_sequences=True)), layers.GRU(2), layers.RepeatVector(2)]
    )


def _image() -> Any:
    parts = [layers.Conv2D(2, 2), layers.MaxPooling2D(2), layers.ZeroPadding2D(1), layers.LayerNormalization(), layers.Flatten()]
    parts[3:3] = [layers.UpSampling2D(2, interpolation="bilinear"), layers.AveragePooling2D(2, padding="same"), layers.Cropping2D(1)]
    return nn.Sequential([nn.Input((5, 5, 1)), *parts, layers.Dense(2, kernel_initializer="orthogonal", kernel_constraint="max_norm")])


def _words() -> Any:
    x = nn.Input((3,), dtype="int32")
    y = layers.Embedding(5, 4)(x)
    return nn.Model(x, layers.GlobalAveragePooling1D()(layers.MultiHeadAttention(2, 2)(y, y)))


MODELS: tuple[Callable[[], Any], ...] = (_stack, _graph, _sequence, _image, _words)


def _digest_of_model(texts: dict[str, str], parts: dict[str, Any]) -> str:
    return saving._digest(texts["graphc"], plain_arrays(parts))


def _models() -> Sequence[Any]:
    return [of_safetensors(_saved(make().save), "graphc") for make in MODELS]


def _read_model(path: Path) -> None:
    model = nn.load_model(path)
    size = sum([weight.storage.nbytes for weight in model.weights])
    assert size <= path.stat().st_size, f"weights of {size} bytes"


@functools.cache
def _model() -> Any:
    return _stack()


def _checkpoints() -> Sequence[Any]:
    return [of_safetensors(_saved(_model().save_weights), "graphc")]


def _read_checkpoint(path: Path) -> None:
    _model().load_weights(path)
    _model().get_weights()


# ---------------------------------------------------------------- weights of Keras
def _keras_model() -> Any:
    return nn.Sequential(
        [nn.Input((3,)), layers.Dense(2, name="dense"), layers.BatchNormalization(name="norm"), layers.Dense(1, name="last")]
    )


@functools.cache
def _target() -> Any:
    return _keras_model()


def _stored(array: np.ndarray[Any, Any]) -> dict[str, Any]:
    return {"#dtype": array.dtype.name, "#shape": list(array.shape), "#data": array.tobytes()}


def _h5() -> Sequence[Any]:
    def group(name: str, *shapes: tuple[int, ...]) -> dict[str, Any]:
        arrays = {str(i): _stored(np.ones(shape, "float32")) for i, shape in enumerate(shapes)}
        return {"vars": {**arrays, "#attributes": {"name": name}}}

    whole: dict[str, Any] = {"dense": group("dense", (3, 2), (2,)), "batch_normalization": group("norm", (2,), (2,), (2,), (2,))}
    whole["dense_1"] = group("last", (2, 1), (1,))
    tree = {"layers": whole, "vars": {}, "optimizer": {"vars": {"0": _stored(np.ones(3))}}}
    huge = {"#chunks": 1, "#shape": [1 << 30, 1 << 10]}
    links = {"a": {"#link": "/"}, "b": {"#other": "/etc/passwd"}, "c": {"#hard": 1}, "d": huge}
    return [tree, {**tree, "spare": links}, {**tree, "layers": {**whole, "dense": {"vars": {"0": huge, "1": links["b"]}}}}]


def _read_keras(path: Path) -> None:
    before = [weight.value.shape for weight in _target().weights]
    _target().load_weights(path)
    assert before == [weight.value.shape for weight in _target().weights], "weights of other shapes"


def _h5_bytes() -> Sequence[Any]:
    return [{"all": to_h5(_h5()[0])}]


# ---------------------------------------------------------------- functions
def _functions() -> Sequence[Any]:
    x, n = gc.input("x", ("batch", 3)), gc.input("n", (), "int32")
    w = gc.variable(np.ones((3, 2), "float32"), "w")
    y = gc.sort(gc.tanh(x @ w), axis=1)
    steps = [
        gc.compile([x, n], {"y": y, "n": n + 1}, updates={w: w * 0.5}, backend="jax"),
        gc.compile([x], gc.linalg.inv(gc.transpose(x) @ x + gc.eye(3)), backend="jax"),
    ]
    return [of_safetensors(_saved(lambda path, step=step: step.save(path, platforms="cpu")), "record") for step in steps]


def _digest_of_function(texts: dict[str, str], parts: dict[str, Any]) -> str:
    return export_file._digest(texts, {name: data for name, (_, data) in parts.items()})


def _read_function(path: Path) -> None:
    gc.load(path)


# ---------------------------------------------------------------- data sets
def _idx() -> Sequence[Any]:
    return [
        {"zero": 0, "code": 8, "axes": 0, "shape": [2, 3, 3], "data": bytes(18)},
        {"zero": 0, "code": 8, "axes": 0, "shape": [5], "data": bytes(5)},
    ]


def _read_idx(path: Path) -> None:
    content = path.read_bytes()
    content = unpack.gunzip(content, 1 << 20) if content.startswith(unpack.GZIP_MAGIC) else content
    assert idx.parse_idx(content).nbytes <= len(content), "more items than bytes"


def _read_member(path: Path) -> None:
    with path.open("rb") as file:
        assert len(unpack.member(file, "a.npy", 1 << 16)) <= 1 << 16


def _pairs() -> Sequence[Any]:
    raw = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85U\x01btR(K\x01(J\x02\0\0\0tcnumpy\ndtype\n(U\x02f4K\x00K\x01tR"
    raw += b"(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89T\x08\0\0\0" + bytes(8) + b"tb"
    return [{"all": b"\x80\x02" + raw + raw + b"\x86\x85."}, {"all": pickle.dumps(((np.ones(2, "float32"), np.ones(2, "int64")),), 2)}]


# ---------------------------------------------------------------- constants of the machine
def _machines() -> Sequence[Any]:
    return [{"version": machine.VERSION, "key": machine.key(), "constants": machine.REFERENCE._asdict()}]


def _read_machine(path: Path) -> None:
    found = machine.load(path)
    assert all(np.isfinite(np.ravel(value)).all() for value in found), "constants that are no numbers"


def _all(tree: Any) -> bytes:
    return bytes(tree["all"])


_SAFETENSORS = ("nn/weights.py", "core/files.py")
_CONFIGS = (
    "nn/saving.py",
    "nn/configured.py",
    "nn/naming.py",
    "nn/wiring.py",
    "nn/model.py",
    "nn/layer.py",
    "nn/functional.py",
    "nn/allowance.py",
)
_PARTS = (
    "nn/initializers.py",
    "nn/optimizers/base.py",
    "nn/layers/dense.py",
    "nn/layers/recurrent/cells.py",
    "nn/layers/recurrent/loop.py",
    "nn/layers/recurrent/layers.py",
    "nn/layers/convolution.py",
    "core/op.py",
)
READERS: dict[str, Reader] = {
    "weights": Reader(_weights, lambda tree: to_safetensors(tree, "graphc", lambda texts, parts: ""), _read_weights, _SAFETENSORS),
    "model": Reader(
        _models, lambda tree: to_safetensors(tree, "graphc", _digest_of_model), _read_model, (*_SAFETENSORS, *_CONFIGS, *_PARTS)
    ),
    "checkpoint": Reader(
        _checkpoints, lambda tree: to_safetensors(tree, "graphc", _digest_of_model), _read_checkpoint, (*_SAFETENSORS, *_CONFIGS)
    ),
    "function": Reader(
        _functions,
        lambda tree: to_safetensors(tree, "record", _digest_of_function),
        _read_function,
        ("export/file.py", "export/record.py", "export/program.py", "pipeline/saving.py", "core/sizes.py"),
    ),
    "keras": Reader(_h5, to_h5, _read_keras, ("nn/keras_weights.py",)),
    "keras bytes": Reader(_h5_bytes, _all, _read_keras, ("nn/keras_weights.py",)),
    "keras archive": Reader(
        _h5_bytes, lambda tree: to_zip({"model.weights.h5": _all(tree)}), _read_keras, ("nn/keras_weights.py", "datasets/unpack.py")
    ),
    "idx": Reader(_idx, to_idx, _read_idx, ("datasets/idx.py",)),
    "idx, gzipped": Reader(_idx, lambda tree: gzipped(to_idx(tree)), _read_idx, ("datasets/idx.py", "datasets/unpack.py")),
    "zip": Reader(
        lambda: [{"all": bytes(99)}], lambda tree: to_zip({"a.npy": _all(tree)}, 8), _read_member, ("datasets/unpack.py", "zipfile.py")
    ),
    "pickle": Reader(_pairs, _all, lambda path: pickled.read_pairs(path.read_bytes(), 1), ("datasets/pickled.py",)),
    "machine": Reader(_machines, lambda tree: json_text(tree).encode("utf-8", "surrogatepass"), _read_machine, ("lower/machine.py",)),
}

__all__ = ["READERS", "Reader"]
