"""What development needs is pinned, with hashes and from no particular place, as pyproject.toml asks; every licence is known."""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "requirements"))

import make  # noqa: E402  (its folder is no package)

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def asked(*extras: str) -> list[Requirement]:
    """The requirements of the project and of these extras, with those that extras take from others."""
    found = [Requirement(line) for line in PROJECT["dependencies"]]
    for extra in extras:
        for line in PROJECT["optional-dependencies"][extra]:
            one = Requirement(line)
            found += asked(*one.extras) if one.name == "graphc" else [one]
    return found


@pytest.mark.parametrize(
    ("path", "extras"), [(make.DEVELOPMENT, ("test", "lint")), (make.LOWEST, ("test",))], ids=["development", "lowest"]
)
def test_every_requirement_is_pinned_with_hashes(path: Path, extras: tuple[str, ...]) -> None:
    text = path.read_text(encoding="utf-8")
    versions = {canonicalize_name(name): version for name, version in make.pinned(path).items()}
    for one in asked(*extras):
        assert one.specifier.contains(versions[canonicalize_name(one.name)]), f"{one}: python requirements/make.py pin"
    for entry in re.split(r"\n(?=\S)", text.strip()):
        assert re.match(r"[\w.-]+==[^\s;]+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]
    assert not re.search(r"://|file:|--index|--find-links|^-", text, re.MULTILINE)


def test_the_lowest_versions_are_those_that_the_project_names() -> None:
    versions = {canonicalize_name(name): Version(version) for name, version in make.pinned(make.LOWEST).items()}
    for one in asked("test"):
        bounds = [Version(part.version) for part in one.specifier if part.operator == ">="]
        assert bounds, f"{one} has no lowest version"
        assert versions[canonicalize_name(one.name)] <= Version(f"{max(bounds)}.99"), f"{one}: python requirements/make.py pin"


def test_every_package_has_its_licence_on_the_page() -> None:
    page = make.LICENCES.read_text(encoding="utf-8")
    assert "MPL" not in "".join(line for line in page.splitlines() if line.endswith("| graphc |"))
    rows = dict(re.findall(r"^\| ([\w.-]+) \| [^|]+ \| ([^|]+) \|", page, re.MULTILINE))
    for name in make.pinned(make.DEVELOPMENT):
        assert name in rows or name in page.rpartition("Not looked at")[2], f"{name}: python requirements/make.py licences"
    assert [name for name, licence in rows.items() if name != "package" and not make.PERMISSIVE.search(licence)] == []
