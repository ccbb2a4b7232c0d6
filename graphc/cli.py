"""The command line: ``graphc train mnist`` and ``graphc --version``.

Exit codes: 0 done, 1 an error that graphc explains, 2 a call that makes no sense, 130 Ctrl-C. What is slow to import is imported
by the command that needs it.
"""

from __future__ import annotations

import argparse
import difflib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from graphc import __version__
from graphc.core.errors import GraphcError

DATASETS = ("mnist", "digits")
INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line (``sys.argv`` unless ``arguments`` are given) and return the exit code."""
    asked = _parser().parse_args(arguments)
    try:
        asked.run(asked)
        sys.stdout.flush()
    except KeyboardInterrupt as stop:
        return _failed(f"graphc: {stop or 'interrupted'}", INTERRUPTED)
    except GraphcError as error:
        return _failed(f"graphc: {error}", 1)
    except BrokenPipeError:  # graphc ... | head: Python would say so once more at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0


def _failed(message: str, code: int) -> int:
    print(message, file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("graphc", description="Symbolic differentiation and a compiler for graphs of tensor operations.")
    parser.add_argument("--version", action="version", version=f"graphc {__version__}")
    commands = parser.add_subparsers(metavar="command", required=True)
    _add_train(commands.add_parser("train", help="train the book's network on handwritten digits", description=_TRAIN))
    return parser


_TRAIN = (
    "Train 784-512 relu-10 softmax with RMSprop as one static graph, evaluate it on the test set, save its weights "
    "(after every epoch) and draw its graph of gradients."
)


def _add_train(parser: argparse.ArgumentParser) -> None:
    parser.set_defaults(run=_train, usage_error=parser.error)
    add = parser.add_argument
    add(
        "dataset",
        nargs="?",
        type=_dataset,
        default="mnist",
        help="mnist, fetched if it is not at hand, or digits, scikit-learn's (%(default)s)",
    )
    add("--dataset", dest="instead", type=_dataset, metavar="NAME", help="the same as an option, which wins")
    add("--epochs", type=_at_least(1), default=5, metavar="N", help="how often to go through the training set (%(default)s)")
    add("--batch-size", type=_at_least(1), default=128, metavar="N", help="images a step (%(default)s)")
    add("--backend", choices=("numpy", "jax"), default="numpy", help="what runs the compiled graph (%(default)s)")
    add("--data", type=Path, metavar="DIR", help="folder with MNIST's four files, plain or .gz")
    add("--seed", type=_at_least(0), default=0, metavar="N", help="of the first weights and the order of the images (%(default)s)")
    add("--out", type=Path, metavar="DIR", help="folder for weights.safetensors and backprop.svg (out/mnist, out/digits)")


def _train(asked: argparse.Namespace) -> None:
    dataset = asked.instead or asked.dataset
    if asked.data is not None and dataset != "mnist":
        asked.usage_error(f"--data {asked.data}: {dataset} needs no folder (fits: --data with mnist)")
    from graphc.nn import Job, run

    out = asked.out or Path("out", dataset)
    run(Job(dataset, out, asked.data, asked.epochs, asked.batch_size, asked.backend, asked.seed))


def _dataset(name: str) -> str:
    if name in DATASETS:
        return name
    near = difflib.get_close_matches(name.lower(), DATASETS, 1)
    guess = f"; is {near[0]!r} meant?" if near else ""
    raise argparse.ArgumentTypeError(f"there is no data set {name!r}{guess} (fits: {', '.join(DATASETS)})")


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            number = least - 1
        if number < least:
            raise argparse.ArgumentTypeError(f"{text!r} is out of range (fits: a whole number from {least})")
        return number

    return parse
