"""Figures, histograms of weights and the model's graph for TensorBoard."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from graphc.core import toposort
from graphc.core.errors import ArgumentError
from graphc.feed.batches import whole_number
from graphc.nn.callbacks.events import EventFile
from graphc.nn.functional import Symbol
from graphc.nn.hooks import Callback, Logs

if TYPE_CHECKING:
    from graphc.nn.model import Model


class TensorBoard(Callback):
    """Event files for ``tensorboard --logdir logs``, in the folders ``train`` and ``validation``, with Keras's tags.

    These are ``epoch_loss`` and so on, ``epoch_learning_rate``, ``batch_loss``, ``evaluation_loss_vs_iterations``, and weights by name.

    Args:
        log_dir: the folder.
        histogram_freq: every how many epochs there are histograms of the weights; 0 for none.
        write_graph: whether the layers of a functional or sequential model are written as a graph.
        write_images: False; images of weights are not written.
        write_steps_per_second: whether there is a curve of the speed.
        update_freq: ``"epoch"``, ``"batch"``, or every how many batches there are figures of batches.
        profile_batch: 0; see ``gc.profile`` for where time goes.
        embeddings_freq: 0; embeddings are not written.

    Raises :class:`ArgumentError` for what is not written, and numbers below 0.
    """

    def __init__(
        self,
        log_dir: str | os.PathLike[str] = "logs",
        histogram_freq: int = 0,
        write_graph: bool = True,
        write_images: bool = False,
        write_steps_per_second: bool = False,
        update_freq: int | Literal["epoch", "batch"] = "epoch",
        profile_batch: Any = 0,
        embeddings_freq: int = 0,
    ) -> None:
        for name, given in (("write_images", write_images), ("profile_batch", profile_batch), ("embeddings_freq", embeddings_freq)):
            if given:
                raise ArgumentError(f"TensorBoard: {name}={given!r} is not written", fits=f"{name}={type(given)()!r}")
        self.log_dir = Path(log_dir)
        self.histogram_freq = whole_number("TensorBoard: histogram_freq", histogram_freq, least=0)
        self.write_graph, self.write_steps_per_second = write_graph, write_steps_per_second
        every = {"epoch": 0, "batch": 1}.get(update_freq) if isinstance(update_freq, str) else update_freq
        self._every = whole_number("TensorBoard: update_freq", every, least=0)
        self._train, self._validation = EventFile(self.log_dir / "train"), EventFile(self.log_dir / "validation")
        self._batches = self._before = 0
        self._first = 0
        self._began = 0.0
        self._graph_due = write_graph

    def is_due(self) -> bool:
        """Whether batches are counted."""
        return bool(self._every) or self.write_steps_per_second

    # ------------------------------------------------------------ hooks
    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Count from 0."""
        self._batches = 0

    def on_epoch_begin(self, epoch: int, logs: Logs | None = None) -> None:
        """Start the clock."""
        self._before, self._began = self._batches, perf_counter()

    def on_train_batch_begin(self, batch: int, logs: Logs | None = None) -> None:
        """Note the first batch of a call."""
        self._first = batch

    def on_train_batch_end(self, batch: int, logs: Logs | None = None) -> None:
        """Write figures of a batch, if they are wanted."""
        before, self._batches = self._batches, self._batches + batch - self._first + 1
        if self._every and before // self._every != self._batches // self._every:
            for name, value in (logs or {}).items():
                self._train.scalar(f"batch_{name}", value, self._batches)

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Write the figures of an epoch, and the histograms if it is time; the graph after the first."""
        if self._graph_due and self.model.network is not None:
            self._train.graph(layers_of(self.model))
        self._graph_due = False
        figures = dict(logs or {})
        if self.model.optimizer is not None:
            figures["learning_rate"] = float(self.model.optimizer.learning_rate)
        if self.write_steps_per_second:
            figures["steps_per_second"] = (self._batches - self._before) / (perf_counter() - self._began)
        for name, value in figures.items():
            file = self._validation if name.startswith("val_") else self._train
            file.scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        if self.histogram_freq and epoch % self.histogram_freq == 0:
            for weight in self.model.weights:
                self._train.histogram(f"{weight.label}/histogram", weight.value, epoch)
        self._train.flush()
        self._validation.flush()

    def on_test_end(self, logs: Logs | None = None) -> None:
        """Write the figures of an evaluation over the steps that were made."""
        if self.model.compiled and self.model.optimizer is not None:
            for name, value in (logs or {}).items():
                self._validation.scalar(f"evaluation_{name}_vs_iterations", value, self.model.optimizer.iterations)
        self._validation.flush()

    def on_train_end(self, logs: Logs | None = None) -> None:
        """Close the files."""
        self._close()

    def on_exception(self, exception: BaseException) -> None:
        """Close the files."""
        self._close()

    def _close(self) -> None:
        self._train.close()
        self._validation.close()

    def get_state(self) -> Mapping[str, Any]:
        """How many batches there were."""
        return {"batches": self._batches, "graph_due": self._graph_due}

    def set_state(self, state: Mapping[str, Any]) -> None:
        """Go on."""
        self._batches, self._graph_due = state["batches"], state["graph_due"]


def layers_of(model: Model) -> list[tuple[str, str, Sequence[str]]]:
    """For each layer of a functional model its name, its class and the names of the layers that it reads."""
    found: dict[str, tuple[str, dict[str, None]]] = {}
    network = model.network
    if network is None:
        return []
    for symbol in network.symbols:
        found[symbol.call.layer.name] = type(symbol.call.layer).__name__, {}
    for call in network.calls:
        _, reads = found.setdefault(call.layer.name, (type(call.layer).__name__, {}))
        reads.update(dict.fromkeys([node.call.layer.name for node in toposort(call.tensors) if isinstance(node, Symbol)]))
    return [(name, kind, list(reads)) for name, (kind, reads) in found.items()]
