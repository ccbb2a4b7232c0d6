"""Weights files and predictions of Keras 3, for tests/nn/test_keras_weights.py: KERAS_BACKEND=jax python make_keras_weights.py."""

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
from keras import layers

HERE = Path(__file__).parent


def functional():
    """Two branches of one shape, the second made first; a model within the model; a layer that is called twice."""
    x = layers.Input((3,), name="x")
    late, early = layers.Dense(4, activation="tanh"), layers.Dense(4, activation="relu")
    shared = layers.Dense(4)
    block = keras.Sequential([layers.Input((4,)), layers.Dense(4, activation="tanh"), layers.BatchNormalization()])
    a, b = early(x), late(x)
    y = layers.Concatenate()([shared(block(b)), shared(a)])
    return keras.Model(x, layers.Dense(2)(y)), (5, 3)


def recurrent():
    stack = [
        layers.LSTM(2, return_sequences=True),
        layers.Bidirectional(layers.GRU(2, return_sequences=True)),
        layers.TimeDistributed(layers.Dense(3)),
    ]
    return keras.Sequential([layers.Input((4, 3)), *stack, layers.SimpleRNN(2), layers.Dense(1)]), (2, 4, 3)


def images():
    stack = [
        layers.Conv2D(2, 2),
        layers.SeparableConv2D(2, 2),
        layers.LayerNormalization(),
        layers.PReLU(),
        layers.Flatten(),
        layers.Dropout(0.5),
        layers.Dense(2),
    ]
    return keras.Sequential([layers.Input((4, 4, 1)), *stack]), (2, 4, 4, 1)


def attention():
    x = layers.Input((3, 4))
    return keras.Model(x, layers.LayerNormalization()(layers.MultiHeadAttention(2, 2)(x, x))), (2, 3, 4)


def main():
    recorded, files = {}, {}
    for make in (functional, recurrent, images, attention):
        keras.backend.clear_session()
        keras.utils.set_random_seed(7)
        model, shape = make()
        random = np.random.default_rng(0)
        model.set_weights([random.uniform(0.1, 1, w.shape).astype("float32") for w in model.get_weights()])
        x = random.normal(size=shape).astype("float32")
        files[make.__name__] = HERE / f"{make.__name__}.weights.h5"
        model.save_weights(files[make.__name__])
        recorded[make.__name__] = {"x": x.tolist(), "y": np.asarray(model(x, training=False)).tolist()}
    (HERE / "keras_weights.json").write_text(json.dumps({"keras": keras.__version__, "models": recorded}))
    with zipfile.ZipFile(HERE / "keras_weights.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:  # a fifteenth of the size
        for path in files.values():
            archive.write(path, path.name)
            path.unlink()


if __name__ == "__main__":
    main()
