"""The names that files go by, and which of them a folder has."""

from pathlib import Path

from graphc.nn.datasets.record import Part
from graphc.nn.datasets.store import missing, present


def test_names_a_file_goes_by() -> None:
    names = Part("f", "train-images-idx3-ubyte", (1,), "").names
    assert names == ("train-images-idx3-ubyte", "train-images.idx3-ubyte", "train-images-idx3-ubyte.gz", "train-images.idx3-ubyte.gz")


def test_plain_files_come_before_gzipped_ones_and_folders_do_not_count(tiny, tmp_path: Path) -> None:
    tiny.write(tmp_path)
    first, second, *_others = tiny.parts
    (tmp_path / f"{first.stem}.gz").unlink()
    (tmp_path / f"{first.stem}.gz").mkdir()
    (tmp_path / second.stem).write_bytes(b"")
    assert missing(tmp_path, tiny.parts) == [first]
    assert present(tmp_path, tiny.parts)[second] == tmp_path / second.stem


def test_a_name_that_no_file_can_have_is_only_missing(tiny, tmp_path: Path) -> None:
    for folder in (tmp_path / ("x" * 5_000), Path("\0")):
        assert missing(folder, tiny.parts) == list(tiny.parts)
