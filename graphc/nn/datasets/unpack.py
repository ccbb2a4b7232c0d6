"""Decompression that cannot be made to fill the memory, and the check of a content's hash."""

import hashlib
import zipfile
import zlib
from typing import IO

from graphc.nn.datasets.errors import DamagedDataError, printable
from graphc.nn.datasets.record import Part

GZIP_MAGIC = b"\x1f\x8b"
SLACK = 1 << 16
_GZIP_WINDOW = 31  # zlib's code for "gzip header, largest window"


def gunzip(data: bytes, most: int) -> bytes:
    """``data`` decompressed, where that gives at most ``most`` bytes.

    Raises ``DamagedDataError`` for anything but one whole gzip stream, and for a larger one as soon as
    it is known to be larger.
    """
    stream = zlib.decompressobj(_GZIP_WINDOW)
    try:
        content = stream.decompress(data, most + 1)
    except zlib.error as error:
        raise DamagedDataError("damaged gzip stream", given=[str(error)]) from error
    if len(content) > most:
        raise DamagedDataError("the gzip stream holds too much", fits=f"at most {most} bytes")
    if not stream.eof:
        raise DamagedDataError("truncated gzip stream", given=[f"it breaks off at byte {len(data)}"])
    if stream.unused_data:
        raise DamagedDataError("more than a gzip stream", given=[f"{len(stream.unused_data)} bytes after it"])
    return content


def member(archive: IO[bytes], name: str, most: int) -> bytes:
    """The file ``name`` inside the zip ``archive``, of at most ``most`` bytes; nothing is extracted.

    Raises ``DamagedDataError`` where the archive or the member cannot be read whole.
    """
    try:
        with zipfile.ZipFile(archive) as files, files.open(_plain(files, name)) as file:
            content = file.read(most + 1)
    # RuntimeError: encrypted; NotImplementedError: a method other than the two usual; the rest: bad bytes.
    except (
        zipfile.BadZipFile, zlib.error, KeyError, EOFError, ValueError, OSError,
        RuntimeError, NotImplementedError,
    ) as error:  # fmt: skip
        raise DamagedDataError(f"unreadable zip member {name}", given=[printable(str(error))]) from error
    if len(content) > most:
        raise DamagedDataError(f"the zip member {name} holds too much", fits=f"at most {most} bytes")
    return content


def _plain(files: zipfile.ZipFile, name: str) -> zipfile.ZipInfo:
    info = files.getinfo(name)
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise NotImplementedError(f"compression method {info.compress_type}")
    return info


def check_hash(what: str, content: bytes, sha256: str) -> None:
    """Raise ``DamagedDataError`` unless ``content`` has the hash ``sha256``."""
    given = hashlib.sha256(content).hexdigest()
    if given != sha256:
        raise DamagedDataError(
            f"wrong content of {what}",
            given=[f"{len(content)} bytes with sha256 {given[:12]}..."],
            fits=f"sha256 {sha256[:12]}...",
        )


def verify(payload: bytes, part: Part) -> bytes:
    """The decompressed idx bytes of ``part`` in ``payload``, which may be gzipped or plain.

    What it is is read off the bytes, not off a name: some servers decompress on the way.
    Raises ``DamagedDataError`` unless the hash, of the content or of the gzipped file, is the part's.
    """
    if part.gzipped:
        check_hash(f"{part.stem}.gz", payload, part.sha256)
    content = gunzip(payload, part.size) if payload.startswith(GZIP_MAGIC) else payload
    if len(content) != part.size:
        raise DamagedDataError(
            f"wrong size of {part.stem}",
            given=[f"{len(content)} bytes of content"],
            fits=f"{part.size} bytes",
        )
    if not part.gzipped:
        check_hash(part.stem, content, part.sha256)
    return content
