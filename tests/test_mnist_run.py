"""The book's job on the real data, where it is at hand: $GRAPHC_TEST_MNIST, or ``shared/mnist`` beside the repository."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import graphc as gc
from graphc.nn import Job, book, run

DATA = Path(os.environ.get("GRAPHC_TEST_MNIST") or Path(__file__).parents[2] / "shared" / "mnist")
needs_mnist = pytest.mark.skipif(
    not any((DATA / f"train-images-idx3-ubyte{end}").is_file() for end in ("", ".gz")),
    reason=f"no MNIST in {DATA}; $GRAPHC_TEST_MNIST names a folder",
)


@needs_mnist
@pytest.mark.slow
def test_one_epoch_on_mnist(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    said: list[str] = []
    run(Job(out=tmp_path, data=DATA, epochs=1), say=said.append)
    told = next(float(row.split()[2]) for row in "\n".join(said).splitlines() if row.strip().startswith("test"))
    assert told >= 0.95
    assert capsys.readouterr().err.startswith("epoch 1/1  loss ")

    # What was saved is what was measured: a new network with these weights.
    data = gc.nn.datasets.load_mnist(DATA)
    model = book.network()
    model.load_weights(tmp_path / "weights.safetensors")
    probabilities = model.predict(data.test_images.reshape(-1, 784) / np.float32(255), batch_size=1000, verbose=0)
    assert np.mean(probabilities.argmax(axis=1) == data.test_labels) == pytest.approx(told, abs=1e-4)
    assert (tmp_path / "backprop.svg").is_file()
