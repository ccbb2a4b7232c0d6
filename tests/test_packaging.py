"""What is shipped, what it depends on, and what a stranger is told to run."""

import importlib.metadata
import re
import runpy
import shutil
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from hatchling.builders.wheel import WheelBuilder
from packaging.requirements import Requirement

import graphc

ROOT = Path(__file__).parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [*PROJECT["dependencies"], *(line for lines in EXTRAS.values() for line in lines)]

ci = runpy.run_path(str(ROOT / ".ci" / "commands.py"))


def tracked_files() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a git clone")
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_version_is_the_installed_one() -> None:
    assert graphc.__version__ == importlib.metadata.version("graphc")


def test_changelog_knows_the_version() -> None:
    assert re.search(rf"^## \[{re.escape(graphc.__version__)}\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), flags=re.MULTILINE)


# Every file of the package, so data files such as py.typed and a page's script too; and nothing but the package.
def test_wheel_holds_the_package_and_only_it(tmp_path: Path) -> None:
    (wheel,) = WheelBuilder(str(ROOT)).build(directory=str(tmp_path), versions=["standard"])
    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    files = {path.relative_to(ROOT).as_posix() for path in (ROOT / "graphc").rglob("*") if path.is_file()}
    assert names == {name for name in files if "__pycache__" not in name}
    assert "graphc/py.typed" in names


@pytest.mark.parametrize("extra", ["draw", "jax", "cuda", "tpu", "test", "docs", "bench", "lint", "all"])
def test_extra_is_there(extra: str) -> None:
    assert extra in EXTRAS
    assert extra in importlib.metadata.metadata("graphc").get_all("Provides-Extra", [])


@pytest.mark.parametrize("line", REQUIREMENTS)
def test_requirement_has_a_lower_bound_and_no_upper(line: str) -> None:
    requirement = Requirement(line)
    operators = [specifier.operator for specifier in requirement.specifier]
    assert operators == ([] if requirement.name == "graphc" else [">="])


def test_extras_that_extras_name_are_there() -> None:
    named = {extra for line in REQUIREMENTS if (found := Requirement(line)).name == "graphc" for extra in found.extras}
    assert named <= EXTRAS.keys()


def test_readme_has_two_commands_that_start_from_nothing() -> None:
    job, tests = ci["commands"]((ROOT / "README.md").read_text(encoding="utf-8"))
    for command in (job, tests):
        assert command.startswith("python3 -m venv .venv && .venv/bin/pip install ")
    assert job.endswith(".venv/bin/graphc train mnist")
    assert tests.endswith(".venv/bin/python -m pytest")


def test_readme_commands_install_extras_that_exist() -> None:
    named = re.findall(r'"\.\[([\w,]+)\]"', "\n".join(ci["commands"]((ROOT / "README.md").read_text(encoding="utf-8"))))
    assert {extra for names in named for extra in names.split(",")} <= EXTRAS.keys()


ONE = "```sh\none && two\n```\n"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("# graphc\n", "no heading"),
        (f"## Two commands\n{ONE}", "there are 1"),
        (f"## Two commands\n{ONE * 3}", "there are 3"),
        (f"## Two commands\n{ONE}## More\n{ONE}", "there are 1"),
        (f"## Two commands\n{ONE}```sh\none\ntwo\n```\n", "on one line"),
        (f"## Two commands\n{ONE}```sh\n```\n", "on one line"),
    ],
)
def test_commands_of_a_bad_readme(text: str, complaint: str) -> None:
    with pytest.raises(ValueError, match=complaint):
        ci["commands"](text)


def test_commands_of_a_good_readme() -> None:
    text = f"# graphc\n{ONE}\n## Two commands\nThis:\n\n{ONE}\nor\n\n```sh\nthree\n```\n```text\nout\n```\n## More\n{ONE}"
    assert ci["commands"](text) == ["one && two", "three"]


# Folders of people and of this checkout; the home of "someone" is made up, and may stand in tests and docs.
FOLDERS = [re.escape(f"{ROOT.parent}/"), re.escape(f"{Path.home()}/"), "/" + r"home/(?!someone\b)"]
MACHINE_PATH = re.compile(r"(?<![\w.~-])(" + "|".join(FOLDERS) + ")")
REGISTRY = re.compile("(" + "|".join(["pypi", "pythonhosted", "npmjs"]) + ")" + re.escape(".org"))


@pytest.mark.parametrize("pattern", [MACHINE_PATH, REGISTRY], ids=["machine path", "registry address"])
def test_no_tracked_file_names(pattern: re.Pattern[str]) -> None:
    files = {path.relative_to(ROOT): path.read_bytes().decode("utf-8", errors="ignore") for path in tracked_files()}
    assert {str(path): found[0] for path, text in files.items() if (found := pattern.search(text))} == {}
