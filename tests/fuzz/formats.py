"""Files as trees that can be changed, and trees as files: lengths and digests are made anew, as one who means harm would do it."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from typing import Any

import numpy as np


def json_text(tree: Any) -> str:
    """The tree as text; what JSON cannot hold (bytes that a change has moved there) as text too."""
    return json.dumps(tree, default=repr)


# ---------------------------------------------------------------- safetensors
def of_safetensors(content: bytes, described: str) -> dict[str, Any]:
    """The arrays' records, the texts (of which the one called ``described`` is a tree), and the data."""
    start = 8 + int.from_bytes(content[:8], "little")
    header = json.loads(content[8:start])
    texts = header.pop("__metadata__", {})
    texts.pop("digest", None)
    if described in texts:
        texts[described] = json.loads(texts[described])
    return {"arrays": header, "texts": texts, "data": content[start:], "length": 0}


def to_safetensors(tree: Any, described: str, digest: Any) -> bytes:
    """The file, with the digest that ``digest(texts, parts)`` gives, where the parts are arrays' records and bytes by name."""
    texts = {str(name): value if isinstance(value, str) else json_text(value) for name, value in dict(tree["texts"]).items()}
    arrays, data = dict(tree["arrays"]), bytes(tree["data"])
    header = {str(name): record for name, record in arrays.items()}
    try:
        parts = {name: (record, data[slice(*record["data_offsets"])]) for name, record in header.items()}
        texts["digest"] = digest(texts, parts)
    except (TypeError, ValueError, KeyError, AttributeError, OverflowError, UnicodeError):
        pass  # a record that is none: the reader does not come to the digest
    if texts:
        header["__metadata__"] = texts
    text = json_text(header).encode("utf-8", "surrogatepass")
    text += b" " * (-len(text) % 8)
    return (len(text) + int(tree["length"])).to_bytes(8, "little") + text + data


def plain_arrays(parts: dict[str, tuple[Any, bytes]]) -> dict[str, np.ndarray[Any, Any]]:
    """The arrays of such a file."""
    names = {"F32": "float32", "F64": "float64", "I32": "int32", "I64": "int64", "U32": "uint32", "BOOL": "bool", "U8": "uint8"}
    return {name: np.frombuffer(data, names[record["dtype"]]).reshape(record["shape"]) for name, (record, data) in parts.items()}


# ---------------------------------------------------------------- idx, gzip, zip
def to_idx(tree: Any) -> bytes:
    """Two bytes of zero, a code, the number of axes, their lengths, the items."""
    shape = [int(n) % (1 << 32) for n in tree["shape"]]
    head = int(tree["zero"]).to_bytes(2, "big") + bytes([int(tree["code"]) % 256, (len(shape) + int(tree["axes"])) % 256])
    return head + b"".join([n.to_bytes(4, "big") for n in shape]) + bytes(tree["data"])


def to_zip(members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    """An archive of these members."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def gzipped(content: bytes) -> bytes:
    """The content by gzip, the same in each process."""
    return gzip.compress(content, 1, mtime=0)


# ---------------------------------------------------------------- HDF5
def of_h5(content: bytes) -> dict[str, Any]:
    """Groups as dicts, arrays as ``{"#dtype", "#shape", "#data"}``, attributes under ``"#attributes"``."""
    import h5py

    def read(item: Any) -> Any:
        if isinstance(item, h5py.Dataset):
            value = np.asarray(item)
            return {"#dtype": value.dtype.name, "#shape": list(value.shape), "#data": value.tobytes()}
        found: dict[str, Any] = {name: read(child) for name, child in item.items()}
        found["#attributes"] = {name: str(value) for name, value in item.attrs.items()}
        return found

    with h5py.File(io.BytesIO(content), "r") as file:
        return read(file)


def to_h5(tree: Any) -> bytes:
    """The file of such a tree. ``"#link"`` makes a soft link, ``"#other"`` one to another file, ``"#chunks"`` an array without contents."""
    import h5py

    out = io.BytesIO()
    with h5py.File(out, "w") as file:
        _fill(h5py, file, tree)
    return out.getvalue()


def _fill(h5py: Any, group: Any, tree: Any) -> None:
    for name, child in dict(tree).items():
        name = str(name).encode("utf-8", "replace").decode().replace("\0", "") or "_"
        if name in group or name.startswith(("#", ".")):
            if name == "#attributes":
                _fill_attributes(group, child)
            continue
        if not isinstance(child, dict):
            group.create_dataset(name.strip("/") or "_", data=str(child).encode("utf-8", "replace")[:1000])
        elif "#link" in child:
            group[name] = h5py.SoftLink(str(child["#link"]))
        elif "#other" in child:
            group[name] = h5py.ExternalLink(str(child["#other"]), "/")
        elif "#hard" in child:
            group[name] = group
        elif "#chunks" in child:
            shape = tuple([int(n) % (1 << 62) for n in child["#shape"]])[:8]
            group.create_dataset(name, shape=shape, dtype="float32", chunks=tuple([max(1, min(8, n)) for n in shape]), compression="gzip")
        elif "#data" in child:
            array = np.frombuffer(bytes(child["#data"]), str(child["#dtype"])).reshape([int(n) for n in child["#shape"]])
            group.create_dataset(name, data=array)
        else:
            _fill(h5py, group.create_group(name), child)


def _fill_attributes(group: Any, attributes: Any) -> None:
    for name, value in dict(attributes).items():
        group.attrs[str(name).replace("\0", "") or "_"] = str(value).encode("utf-8", "replace").decode().replace("\0", "")[:1000]
