"""What compile made can be looked at."""

import numpy as np
import pytest

import graphc as gc
from graphc import nn


def test_the_latest_step_of_each_kind_is_drawn_and_explained() -> None:
    model = nn.Sequential([nn.Input((3,)), nn.layers.Dense(2, activation="softmax")])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(gc.errors.ArgumentError, match=r"(?s)no step of 'train'.*model\.fit"):
        model.training.latest()
    x, y = np.ones((4, 3), "float32"), np.zeros(4, "int32")
    model.fit(x, y, verbose=0)
    step = model.training.latest("train")
    assert "float32" in step.function.source
    assert "peak of a call" in str(step.function.report)
    dot = gc.draw(step.graph, wrt=model.trainable_weights).dot
    assert "sparse_softmax_crossentropy" in dot
    model.fit(x, y.astype("int64"), verbose=0)  # data of another dtype: another step
    assert model.training.latest("train") is not step
    with pytest.raises(gc.errors.ArgumentError, match=r"model\.evaluate"):
        model.training.latest("test")
