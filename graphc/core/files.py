"""Files that are there whole or not at all."""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path


def write_whole(target: Path, content: bytes) -> None:
    """Write under another name, force to the disk, and rename: whatever happens on the way, an earlier file stays whole.

    Raises :class:`OSError` where that cannot be done.
    """
    draft = target.with_name(f".{target.name}.{os.getpid()}.{threading.get_ident()}.draft")
    try:
        with draft.open("wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        draft.replace(target)
    finally:  # after Ctrl-C as well: no litter
        with suppress(OSError):
            draft.unlink(missing_ok=True)


def state_of(target: Path) -> str:
    """What is at the target after a write that failed."""
    return "the file that was there is as it was" if target.is_file() else "no such file was there before, and none is now"
