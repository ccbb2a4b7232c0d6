"""The folder for what graphc keeps between runs."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping

from graphc.core.errors import ArgumentError


def cache_folder(environ: Mapping[str, str] = os.environ, platform: str = sys.platform) -> str:
    r"""The folder in the user's own cache; it need not exist yet.

    Linux: ``$XDG_CACHE_HOME/graphc`` or ``~/.cache/graphc``; macOS: ``~/Library/Caches/graphc``;
    Windows: ``%LOCALAPPDATA%\graphc``. Raises :class:`ArgumentError` where there is no home folder.
    """
    if platform == "win32":
        around = _named(environ.get("LOCALAPPDATA"), "AppData/Local")
    elif platform == "darwin":
        around = _named(None, "Library/Caches")
    else:
        around = _named(environ.get("XDG_CACHE_HOME"), ".cache")
    return os.path.join(around, "graphc")


def _named(folder: str | None, below_home: str) -> str:
    if folder and os.path.isabs(folder):  # the XDG standard: a relative path there is invalid and counts as not set
        return folder
    home = os.path.expanduser("~")
    if home == "~":
        raise ArgumentError("no place for a cache folder: no home folder is known", fits="$HOME, or on Linux $XDG_CACHE_HOME")
    return os.path.join(home, below_home)
