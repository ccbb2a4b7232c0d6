"""The folder for what graphc keeps between runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path


def cache_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    r"""The folder in the user's own cache; it need not exist yet.

    Linux: ``$XDG_CACHE_HOME/graphc`` or ``~/.cache/graphc``; macOS: ``~/Library/Caches/graphc``;
    Windows: ``%LOCALAPPDATA%\graphc``. Raises :class:`RuntimeError` where there is no home folder.
    """
    if platform == "win32":
        return _named(environ.get("LOCALAPPDATA"), "AppData/Local") / "graphc"
    if platform == "darwin":
        return _named(None, "Library/Caches") / "graphc"
    return _named(environ.get("XDG_CACHE_HOME"), ".cache") / "graphc"


def _named(folder: str | None, below_home: str) -> Path:
    # The XDG standard: a relative path there is invalid and counts as not set.
    return Path(folder) if folder and Path(folder).is_absolute() else Path.home() / below_home
