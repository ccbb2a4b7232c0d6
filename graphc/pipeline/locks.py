"""One lock for all functions that update the same variables, so that no update of one is lost to another."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from weakref import WeakKeyDictionary, WeakSet

from graphc.core import Variable


class _Group:
    """Variables that are updated together, by one function or by several that share some. One that has been joined to another says so."""

    __slots__ = ("__weakref__", "into", "lock")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.into: _Group | None = None

    def root(self) -> _Group:
        """The group that this one is part of by now."""
        group = self
        while group.into is not None:
            group = group.into
        return group


_groups: WeakKeyDictionary[Variable, _Group] = WeakKeyDictionary()
_all: WeakSet[_Group] = WeakSet()
_joining = threading.Lock()


class UpdateLock:
    """A lock that every function which updates one of these variables, or one that is updated with them, holds while it runs."""

    __slots__ = ("_group",)
    _group: _Group

    def __init__(self, variables: Iterable[Variable]) -> None:
        with _joining:
            self._group = _joined(list(variables))

    def __enter__(self) -> None:
        group = self._group
        group.lock.acquire()
        while group.into is not None:  # it was joined to another, perhaps while this thread waited
            group.lock.release()
            group = group.root()
            group.lock.acquire()
            self._group = group

    def __exit__(self, *error: object) -> None:
        # Nobody can have joined it meanwhile: joining takes the lock.
        self._group.lock.release()


def _joined(variables: list[Variable]) -> _Group:
    """The one group of these variables, made of those that they are in. It waits for functions that run."""
    new = _Group()
    _all.add(new)
    olds = list(dict.fromkeys([_groups[variable].root() for variable in variables if variable in _groups]))
    if len(olds) == 1:
        new = olds[0]
    else:
        for old in olds:
            with old.lock:
                old.into = new
    for variable in variables:
        _groups[variable] = new
    return new


def _unlock() -> None:
    """In a forked child no other thread runs, so whoever held a lock never lets it go."""
    global _joining
    _joining = threading.Lock()
    for group in _all:
        group.lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_unlock)
