"""The errors of this package, and how their messages are put together."""

from graphc.core.errors import GraphcError


class DatasetError(GraphcError):
    """A data set cannot be had as asked: what was asked, what was given, what would fit."""

    @property
    def line(self) -> str:
        """The message on one line, to stand inside another one."""
        fits = f" (fits: {self.fits})" if self.fits else ""
        return f"{': '.join((self.asked, *self.given))}{fits}"


class DamagedDataError(DatasetError):
    """Bytes that are not what they should be: truncated, altered, of another set, or hostile."""


class FetchError(DatasetError):
    """One source gave nothing usable; the next one may."""


class NoDatasetError(DatasetError):
    """No place held the data set and no source gave it; the message lists everything tried."""


def printable(text: str, most: int = 300) -> str:
    """``text`` of unknown origin on one line, without control characters, at most ``most`` long."""
    flat = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * most])
    line = " ".join(flat.split())
    return line if len(line) <= most else line[:most] + "..."
