"""Pin what development needs, list the licences, and run the tests on the lowest versions that pyproject.toml allows.

``python requirements/make.py pin`` writes ``development.txt`` (the newest versions, for each Python and system) and ``lowest.txt`` (the
lowest of what pyproject.toml names, for Python 3.11), each package with the hashes of its files; it needs uv. Run it when a dependency
changes, and now and then.

``python requirements/make.py licences`` writes docs/licences.md from the metadata of the packages that are installed, and prints how
many there are and which are not permissive, of which there should be none.

``python requirements/make.py lowest [pytest's arguments]`` installs lowest.txt into a virtual environment of its own, with the hashes
checked, and runs the tests there; it prints what pytest prints.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
import venv
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
DEVELOPMENT, LOWEST, LICENCES = HERE / "development.txt", HERE / "lowest.txt", ROOT / "docs" / "licences.md"
PERMISSIVE = re.compile(
    r"MIT|Apache|BSD|ISC|PSF|Python Software Foundation|Zlib|CC0|Unlicense|HPND|MPL-2\.0|Mozilla Public License 2\.0", re.IGNORECASE
)
"""Licences under which one may use, change and pass on. MPL 2.0 asks for changes to its own files alone, and only tools of development are
under it."""
HEAD = """# Licences

graphc is under the MIT licence. It brings no code of others along; what it uses is installed beside it. These are the packages that it
needs, or that its development needs, with what their metadata says of their licences. `python requirements/make.py licences` writes this
page. The Mozilla Public License, of tools of development alone, asks for changes to its own files; all others only for their notice.

| package | version | licence | for |
|---|---|---|---|
"""


def pin() -> None:
    """Write the files of requirements."""
    common = ["--generate-hashes", "--no-header", "--no-emit-index-url", "--quiet", "pyproject.toml"]
    _uv("pip", "compile", *common, "--universal", "--upgrade", "--extra", "test", "--extra", "lint", "--output-file", str(DEVELOPMENT))
    lowest = ["--resolution", "lowest-direct", "--python-version", "3.11", "--extra", "test", "--only-binary", ":all:"]
    _uv("pip", "compile", *common, *lowest, "--upgrade", "--output-file", str(LOWEST))


def _uv(*arguments: str) -> None:
    subprocess.run(["uv", *arguments], cwd=ROOT, check=True)


def pinned(path: Path) -> dict[str, str]:
    """The packages of a file of requirements, by their names, and their versions; of several for several systems the last."""
    return dict(re.findall(r"^([\w.-]+)==([^\s;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE))


# ---------------------------------------------------------------- licences
def licence(name: str) -> str:
    """What the metadata of an installed package says of its licence: an SPDX expression, the classifiers, or the first line of a text."""
    told = metadata.metadata(name)
    expression = told.get("License-Expression")
    kinds = [line.rpartition(" :: ")[2] for line in told.get_all("Classifier") or [] if line.startswith("License ::")]
    text = (told.get("License") or "").strip().split("\n")[0][:60]
    return expression or ", ".join(kind for kind in kinds if kind != "OSI Approved") or text or "not said"


def licences() -> int:
    """Write the page of the licences."""
    needed = {name.lower() for name in pinned(DEVELOPMENT)}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = {re.split(r"[^\w.-]", line)[0].lower().replace("_", "-") for line in project["dependencies"]}
    rows: list[str] = []
    absent: list[str] = []
    strict: list[str] = []
    for name, version in sorted(pinned(DEVELOPMENT).items()):
        try:
            found = licence(name)
        except metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if not PERMISSIVE.search(found):
            strict.append(f"{name}: {found}")
        rows.append(f"| {name} | {version} | {found} | {'graphc' if name.lower() in own else 'development'} |")
    page = HEAD + "\n".join(rows) + "\n"
    if absent:
        page += f"\nNot looked at, since other systems alone need them: {', '.join(absent)}.\n"
    LICENCES.write_text(page, encoding="utf-8")
    print(f"{len(needed)} packages: {len(rows)} listed, {len(strict)} not permissive{''.join(f'; {one}' for one in strict)}")
    return int(bool(strict))


# ---------------------------------------------------------------- the lowest versions
def lowest(arguments: Sequence[str]) -> int:
    """Run the tests on the lowest versions."""
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder) / ("Scripts" if os.name == "nt" else "bin") / "python"
        install = [str(python), "-m", "pip", "install", "--quiet"]
        subprocess.run([*install, "--require-hashes", "-r", str(LOWEST)], check=True)
        subprocess.run([*install, "--no-deps", "--editable", str(ROOT)], check=True)
        return subprocess.run([str(python), "-m", "pytest", *arguments], cwd=ROOT, check=False).returncode


def main() -> int:
    """Do what is asked."""
    match sys.argv[1:]:
        case ["pin"]:
            pin()
            return 0
        case ["licences"]:
            return licences()
        case ["lowest", *arguments]:
            return lowest(arguments)
        case _:
            print(__doc__)
            return 2


if __name__ == "__main__":
    sys.exit(main())
