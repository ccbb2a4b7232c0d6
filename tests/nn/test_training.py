"""The loop over batches, with plain Python functions as steps, and what it tells meanwhile."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest

from graphc.core.errors import ArgumentError
from graphc.nn.progress import line, progress
from graphc.nn.training import Score, Standing, evaluate, features, train

Array = np.ndarray[Any, Any]


class Recorder:
    """A step that remembers its batches; the loss is the mean of the images, the accuracy that of the labels."""

    def __init__(self) -> None:
        self.batches: list[Array] = []

    def __call__(self, images: Array, labels: Array) -> tuple[float, float]:
        assert len(images) == len(labels)
        np.testing.assert_array_equal(images[:, 0].astype(int) % 2, labels)  # each label still beside its image
        self.batches.append(images[:, 0].copy())
        return float(images.mean()), float(labels.mean())


def numbered(count: int) -> tuple[Array, Array]:
    images = np.arange(count, dtype=np.float32).reshape(-1, 1)
    return images, (np.arange(count) % 2).astype(np.int32)


def seen(count: int = 10, **options: Any) -> list[Array]:
    step = Recorder()
    list(train(step, *numbered(count), **options))
    return step.batches


def test_every_epoch_takes_each_image_once() -> None:
    batches = seen(10, epochs=3, batch_size=4)
    assert [len(batch) for batch in batches] == [4, 4, 2] * 3
    epochs = [np.concatenate(batches[3 * e : 3 * e + 3]) for e in range(3)]
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch), np.arange(10))
    assert not np.array_equal(epochs[0], epochs[1])
    assert not np.array_equal(epochs[0], np.arange(10))


def test_the_books_epoch_has_469_steps() -> None:
    (standing,) = train(lambda images, labels: (0.0, 0.0), *numbered(60_000), batch_size=128)
    assert (standing.step, standing.steps, standing.images) == (469, 469, 60_000)


def test_the_seed_decides_the_order() -> None:
    first, again, other = (np.concatenate(seen(50, epochs=2, batch_size=8, seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_means_are_weighted_by_the_sizes_of_the_batches() -> None:
    standings = list(train(Recorder(), *numbered(11), epochs=2, batch_size=4))
    for standing in standings:  # batches of 4, 4 and 3
        assert standing.score.loss == pytest.approx(5.0)
        assert standing.score.accuracy == pytest.approx(5 / 11)


def test_a_batch_larger_than_the_set_is_the_set() -> None:
    assert [len(batch) for batch in seen(10, batch_size=1000)] == [10]


def test_the_listener_hears_every_step() -> None:
    heard: list[Standing] = []
    yielded = list(train(Recorder(), *numbered(10), epochs=2, batch_size=4, listen=heard.append, pause=0))
    assert [(s.epoch, s.step, s.steps, s.images) for s in heard] == [
        (epoch, step, 3, images) for epoch in (1, 2) for step, images in ((1, 4), (2, 8), (3, 10))
    ]
    assert yielded == [heard[2], heard[5]]
    assert all(s.seconds > 0 and s.images_per_second > 0 for s in heard)


def test_the_caller_may_stop_after_an_epoch() -> None:
    step = Recorder()
    for _standing in train(step, *numbered(10), epochs=1000, batch_size=5):
        break
    assert len(step.batches) == 2


def test_nothing_runs_before_it_is_asked_for() -> None:
    step = Recorder()
    train(step, *numbered(10))
    assert not step.batches


@pytest.mark.parametrize("wrong", [{"epochs": 0}, {"epochs": -1}, {"batch_size": 0}])
def test_numbers_below_1_are_refused_at_once(wrong: dict[str, int]) -> None:
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        train(Recorder(), *numbered(10), **wrong)


@pytest.mark.parametrize(("images", "labels"), [(0, 0), (3, 2)])
def test_images_need_labels(images: int, labels: int) -> None:
    x, t = numbered(images)[0], numbered(labels)[1]
    with pytest.raises(ArgumentError, match=f"{images} images and {labels} labels"):
        train(Recorder(), x, t)
    with pytest.raises(ArgumentError, match=f"{images} images and {labels} labels"):
        evaluate(Recorder(), x, t)


def test_evaluation_takes_all_images_in_order() -> None:
    step = Recorder()
    score = evaluate(step, *numbered(2_501))
    np.testing.assert_array_equal(np.concatenate(step.batches), np.arange(2_501))
    assert score.loss == pytest.approx(1_250.0)
    assert score.accuracy == pytest.approx(1_250 / 2_501)


def test_features_are_float32_from_0_to_1() -> None:
    images = np.arange(256, dtype=np.uint8).reshape(4, 8, 8)
    flat = features(images)
    assert (flat.dtype, flat.shape, flat.min(), flat.max()) == (np.float32, (4, 64), 0, 1)
    np.testing.assert_array_equal(flat.reshape(-1), np.arange(256, dtype=np.float32) / np.float32(255))


def standing(epoch: int, step: int) -> Standing:
    return Standing(epoch, 12, step, 4, 32 * step, 0.01 * step, Score(0.25, 0.9251))


def test_a_log_gets_one_line_an_epoch() -> None:
    out = io.StringIO()
    with progress(out) as listen:
        for epoch in (1, 2):
            for step in (1, 2, 3, 4):
                listen(standing(epoch, step))
    assert out.getvalue().splitlines() == [
        "epoch  1/12  step 4/4  loss 0.2500  accuracy 0.9251  3,200 images/s",
        "epoch  2/12  step 4/4  loss 0.2500  accuracy 0.9251  3,200 images/s",
    ]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_terminal_gets_a_bar_and_keeps_the_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TERM": "xterm", "COLUMNS": "100", "LINES": "25"}.items():
        monkeypatch.setenv(name, value)
    out = Terminal()
    with progress(out) as listen:
        for epoch in (1, 2):
            for step in (1, 2, 3, 4):
                listen(standing(epoch, step))
    text = out.getvalue()
    assert "\x1b[?25l" in text  # the cursor is hidden
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")  # and shown again
    for epoch in (1, 2):
        assert text.count(line(standing(epoch, 4))) == 1


def test_the_bar_gives_the_terminal_back_after_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    out = Terminal()

    def interrupted() -> None:
        with progress(out) as listen:
            listen(standing(1, 1))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert out.getvalue().rindex("\x1b[?25h") > out.getvalue().rindex("\x1b[?25l")


def test_a_dumb_terminal_is_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "dumb")
    out = Terminal()
    with progress(out) as listen:
        listen(standing(1, 4))
    assert out.getvalue() == line(standing(1, 4)) + "\n"
