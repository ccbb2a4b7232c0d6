"""Recurrent layers: a cell is one step, a layer is a loop of it over the second axis of ``(batch, steps, features)``."""

from graphc.nn.layers.recurrent.cells import Cell, GatedCell, GRUCell, LSTMCell, Roles, SimpleRNNCell, StackedRNNCells, States
from graphc.nn.layers.recurrent.layers import GRU, LSTM, RNN, OfOneCell, SimpleRNN

__all__ = [
    "GRU",
    "LSTM",
    "RNN",
    "Cell",
    "GRUCell",
    "GatedCell",
    "LSTMCell",
    "OfOneCell",
    "Roles",
    "SimpleRNN",
    "SimpleRNNCell",
    "StackedRNNCells",
    "States",
]
