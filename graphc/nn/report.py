"""What a job tells at its end, as text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from graphc.nn.datasets import Digits

Score = Mapping[str, float]
"""The figures ``loss``, in nats, and ``accuracy``, from 0 to 1."""
NOTES = ((0.255, 0.925), (0.103, 0.970), (0.068, 0.979), (0.050, 0.985), (0.037, 0.989))
"""Loss and accuracy that the notes on Chollet's book report for each epoch."""
NOTES_TEST = "0.979 to 0.980"


def of_data(data: Digits) -> str:
    """How much of what is there, and where it came from, on one line."""
    count, height, width = data.train_images.shape
    return f"{data.name} from {data.source}: {count:,} training and {len(data.test_images):,} test images of {height} x {width}"


def of_scores(epochs: Sequence[Score], test: Score, beside_notes: bool) -> str:
    """A table of loss and accuracy: a line for each epoch and one for the test set, beside the notes' figures where they compare."""
    rows = [_row(str(number), score) for number, score in enumerate(epochs, 1)]
    head, last = f"{'epoch':<5}  {'loss':>6}  {'accuracy':>8}", _row("test", test)
    if beside_notes:
        rows = [f"{row}   {loss:11.3f}  {accuracy:8.3f}" for row, (loss, accuracy) in zip(rows, NOTES, strict=True)]
        head, last = f"{head}   notes: loss  accuracy", f"{last}   {NOTES_TEST:>21}"
    return "\n".join(["", head, *rows, last, ""])


def _row(name: str, score: Score) -> str:
    return f"{name:>5}  {score['loss']:6.4f}  {score['accuracy']:8.4f}"
