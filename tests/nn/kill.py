"""A training that is killed at any moment: every file that it leaves loads, and when it goes on it comes to the same bits.

``python tests/nn/kill.py --times 50`` kills fifty times; the suite a few times (test_kill.py).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

EPOCHS, BATCHES = 40, 12
DONE, STARTED = "done", "started"


def model_of(seed: int) -> Any:
    """A model with all that has a state: slots, moving statistics, random numbers."""
    from graphc import nn

    nn.set_random_seed(seed)
    stack = [nn.layers.Dense(64, activation="relu"), nn.layers.BatchNormalization(), nn.layers.Dropout(0.2), nn.layers.Dense(1)]
    model = nn.Sequential([nn.Input((4,)), *stack])
    model.compile(nn.optimizers.Adam(0.01), "mse", metrics=["mae"])
    return model


def train(folder: Path, seed: int) -> str:
    """Train with files after every second batch and every epoch; a digest of all variables at the end."""
    from graphc import nn

    x = np.random.default_rng(0).normal(size=(BATCHES * 8, 4)).astype("float32")
    model = model_of(seed)
    (folder / STARTED).touch()
    callbacks = [
        nn.callbacks.BackupAndRestore(folder / "backup", save_freq=2, delete_checkpoint=False),
        nn.callbacks.ModelCheckpoint(folder / "latest.graphc", monitor="loss", save_freq=3),
        nn.callbacks.ReduceLROnPlateau("loss", patience=2, min_delta=0.5),
    ]
    model.fit(x, x.sum(1), batch_size=8, epochs=EPOCHS, verbose=0, callbacks=callbacks)
    digest = hashlib.sha256(b"".join([v.value.tobytes() for v in [*model.variables, *model.optimizer.variables]])).hexdigest()
    (folder / DONE).write_text(digest)
    return digest


def check_files(folder: Path) -> int:
    """Load every file that is there; how many there are. Drafts of files are not files yet."""
    from graphc import nn

    checked = 0
    for path in [*folder.glob("*.graphc"), *folder.glob("backup/*.safetensors")]:
        if path.suffix == ".graphc":
            nn.load_model(path)
        else:
            model_of(5).load_weights(path)
        checked += 1
    return checked


def killed(folder: Path, seed: int, after: int, pause: float) -> bool:
    """Start the training in a process of its own, and kill it after so many new files and a pause; whether it was still alive.

    Files are counted, and not seconds, since those depend on what else the machine does.
    """
    (folder / STARTED).unlink(missing_ok=True)
    child = subprocess.Popen([sys.executable, __file__, "--folder", str(folder), "--seed", str(seed)])
    try:
        seen, last = 0, _changed(folder)
        while child.poll() is None and (seen < after or not (folder / STARTED).exists()):
            time.sleep(0.0005)
            seen, last = seen + (_changed(folder) != last), _changed(folder)
        time.sleep(pause)
        alive = child.poll() is None
        assert alive or child.returncode == 0, "the training failed"
        return alive
    finally:
        child.send_signal(signal.SIGKILL)
        child.wait()


def _changed(folder: Path) -> int:
    path = folder / "backup" / "latest.safetensors"
    return path.stat().st_ino if path.exists() else 0


def run(times: int, seed: int = 0) -> tuple[int, int]:
    """Kill so many times before a training ends, one training after the other; how many ended, and how many files were loaded.

    Raises AssertionError where one came to other bits.
    """
    chance = random.Random(seed)
    hits = ended = files = 0
    with tempfile.TemporaryDirectory() as root:
        expected = train(_new(Path(root) / "whole"), seed)
        folder = _new(Path(root) / "broken")
        while hits < times:
            goes_on = (folder / "backup" / "latest.safetensors").exists()  # then nothing may depend on the seed any more
            hits += killed(folder, seed + hits + ended + 1 if goes_on else seed, chance.randint(0, 60), chance.uniform(0, 0.01))
            files += check_files(folder)
            if (folder / DONE).exists():
                assert (folder / DONE).read_text() == expected, "a training that went on came to other bits"
                ended += 1
                shutil.rmtree(folder)
                _new(folder)
        if (folder / "backup" / "latest.safetensors").exists():
            assert train(folder, seed + 10**6) == expected, "a training that went on came to other bits"
            ended += 1
    return ended, files


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def main() -> None:
    """Kill, or be the one who is killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=50)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    if given.folder is not None:
        train(given.folder, given.seed)
        return
    ended, files = run(given.times, given.seed)
    print(f"killed {given.times} times; {files} files loaded; all {ended} trainings that were broken came to the bits of one that was not")


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    main()
