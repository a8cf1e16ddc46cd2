"""What is written down twice must agree, and what is built must be whole."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib import metadata
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import gemini_workshop
from tests.clone import TOP, tracked_files

PROJECT = tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))
AT_THE_TOP = {"README.md", "LICENSE", "CONTRIBUTING.md", "CHANGELOG.md", "Makefile"}
AT_THE_TOP |= {"pyproject.toml", "setup.py", "environment.yml", ".gitignore", ".pre-commit-config.yaml"}
AT_THE_TOP |= {"gemini_workshop", "notebooks", "tests", "slides", "docs", "data", ".ci", ".github"}
# Needed by learners without an import in the package: JupyterLab runs the lessons, widgets and seaborn are used there.
USED_BY_LESSONS = {"jupyterlab", "ipywidgets", "seaborn", "sentencepiece", "datasets", "scikit-learn"}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


CORE = names(PROJECT["project"]["dependencies"])
DEV = names(PROJECT["project"]["optional-dependencies"]["dev"])
SCRAPING = names(PROJECT["project"]["optional-dependencies"]["scraping"])
CONSTRAINED = names(PROJECT["project"]["optional-dependencies"]["constrained"])
MAY_NEED = {"authoring": DEV, "benchmarks": DEV, "data": SCRAPING, "generation": CONSTRAINED}


# --- Dependencies ---


def third_party_imports(place: Path) -> dict[str, str]:
    """Top-level names that a Python file, or all files of a folder, import, and one file that does."""
    found = {}
    for path in place.rglob("*.py") if place.is_dir() else [place]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [node.module] if isinstance(node, ast.ImportFrom) and node.module and not node.level else []
            found.update({module.partition(".")[0]: str(path.relative_to(TOP)) for module in modules})
    return {name: file for name, file in found.items() if name not in sys.stdlib_module_names | {"gemini_workshop"}}


HOMES = metadata.packages_distributions()


def homes_of(module: str) -> set[str]:
    return {canonicalize_name(home) for home in HOMES.get(module, [])}


# jupyterlab brings these as parts of Jupyter itself, in versions that fit it.
PARTS_OF_JUPYTER = {"jupyter-client", "nbformat", "ipykernel", "jupyter-core", "traitlets"}


UNITS = [path.name for path in (TOP / "gemini_workshop").iterdir() if path.is_dir() or path.suffix == ".py"]


@pytest.mark.parametrize("unit", UNITS)
def test_every_import_of_the_package_is_a_declared_dependency(unit):
    allowed = CORE | PARTS_OF_JUPYTER | MAY_NEED.get(unit, set())
    imports = third_party_imports(TOP / "gemini_workshop" / unit)
    imports.pop("minbpe", None)  # on no package index; measured against where someone has put it
    undeclared = {name: file for name, file in imports.items() if not homes_of(name) & allowed}
    assert undeclared == {}


def test_every_dependency_is_used():
    homes: set[str] = set()
    for module in third_party_imports(TOP / "gemini_workshop"):
        homes |= homes_of(module)
    assert CORE - homes - USED_BY_LESSONS == set()


def test_no_requirement_is_pinned_and_torch_stays_below_two_fourteen():
    extras = PROJECT["project"]["optional-dependencies"].values()
    requirements = [Requirement(line) for line in sum(extras, PROJECT["project"]["dependencies"])]
    assert [str(requirement) for requirement in requirements if "==" in str(requirement)] == []
    (torch,) = [str(requirement.specifier) for requirement in requirements if requirement.name == "torch"]
    assert set(torch.split(",")) == {">=2.6", "<2.14"}


def test_conda_installs_what_pyproject_says():
    environment = yaml.safe_load((TOP / "environment.yml").read_text("utf-8"))
    python, pip, section = environment["dependencies"]
    assert python == f"python {PROJECT['project']['requires-python']}"
    assert pip == "pip"
    assert section == {"pip": ["-e .[dev]"]}


# --- One set of checks ---


def test_make_check_the_ci_script_and_the_workflow_run_the_same_commands():
    makefile = (TOP / "Makefile").read_text("utf-8")
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", makefile, re.MULTILINE)[1]
    commands = [line.strip().removeprefix("$(PYTHON) -m ") for line in recipe.splitlines()]
    assert [command.split()[0] for command in commands] == ["ruff", "ruff", "mypy", "pytest"]

    script = (TOP / ".ci" / "run").read_text("utf-8").splitlines()
    assert script[-len(commands) :] == commands

    workflow = yaml.safe_load((TOP / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    steps = [step["run"] for step in workflow["jobs"]["check"]["steps"] if "run" in step]
    assert steps[-len(commands) :] == commands


def test_ci_covers_three_systems_and_every_python():
    workflow = yaml.safe_load((TOP / ".github" / "workflows" / "ci.yml").read_text("utf-8"))
    matrix = workflow["jobs"]["check"]["strategy"]["matrix"]
    assert {name.split("-")[0] for name in matrix["os"]} == {"ubuntu", "macos", "windows"}
    assert matrix["python"] == ["3.11", "3.12", "3.13"]


def test_the_hooks_work_offline():
    hooks = yaml.safe_load((TOP / ".pre-commit-config.yaml").read_text("utf-8"))
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
    assert {hook["language"] for hook in hooks["repos"][0]["hooks"]} == {"system"}


def test_make_helps_with_every_verb():
    makefile = (TOP / "Makefile").read_text("utf-8")
    (verbs,) = re.findall(r"^\.PHONY: (.*)", makefile, re.MULTILINE)
    assert set(re.findall(r"^(\w+):.*## \w", makefile, re.MULTILINE)) == set(verbs.split())


def test_shapes_are_checked_under_pytest_in_every_package_where_tensors_pass():
    (option,) = [
        line for line in PROJECT["tool"]["pytest"]["ini_options"]["addopts"] if line.startswith("--jaxtyping-packages=")
    ]
    checked = set(option.partition("=")[2].split(",")[:-1])
    with_tensors = {
        f"gemini_workshop.{path.relative_to(TOP / 'gemini_workshop').parts[0]}"
        for path in (TOP / "gemini_workshop").rglob("*/*.py")
        if "from jaxtyping import" in path.read_text("utf-8")
    }
    assert with_tensors <= checked


# --- What is committed and what is built ---


def test_nothing_unexpected_stands_at_the_top():
    assert {name.split("/")[0] for name in tracked_files()} <= AT_THE_TOP


def test_no_committed_file_names_a_place_on_one_machine():
    place = re.compile(r"/(?:home|Users|root|work)/\w+/")
    texts = {".py", ".md", ".toml", ".yml", ".yaml", ".ipynb", ".cfg", ".json", ""}
    wrong = [
        name
        for name in tracked_files()
        if Path(name).suffix in texts
        and not name.startswith("tests/")
        and (TOP / name).is_file()
        and place.search((TOP / name).read_text("utf-8"))
    ]
    assert wrong == []


def test_the_version_stands_once():
    assert "version" not in PROJECT["project"]
    assert re.fullmatch(r"\d+\.\d+\.\d+", gemini_workshop.__version__)
    newest = re.search(r"^## (\S+)", (TOP / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[1]
    assert newest in {gemini_workshop.__version__, "Unreleased"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    folder = tmp_path_factory.mktemp("wheel")
    for name in tracked_files():
        if name.split("/")[0] in {"gemini_workshop", "data", "pyproject.toml", "setup.py", "README.md", "LICENSE"}:
            (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(TOP / name, folder / "clone" / name)
    build = "from setuptools import build_meta; print(build_meta.build_wheel('../wheel'))"
    (folder / "wheel").mkdir()
    subprocess.run([sys.executable, "-c", build], cwd=folder / "clone", capture_output=True, check=True)
    return zipfile.ZipFile(next((folder / "wheel").glob("*.whl")))


def test_a_wheel_carries_everything_that_the_package_reads(wheel):
    contents = set(wheel.namelist())
    package = {name for name in tracked_files() if name.startswith("gemini_workshop/") and "/." not in name}
    assert package <= contents
    root = f"gemini_from_scratch-{gemini_workshop.__version__}"
    samples = {Path(name).name for name in tracked_files() if name.startswith("data/samples/")}
    assert samples
    assert {f"{root}.data/data/share/gemini_workshop/samples/{name}" for name in samples} <= contents
    assert f"{root}.dist-info/licenses/LICENSE" in contents


def test_a_wheel_carries_nothing_else(wheel):
    tops = {name.split("/")[0].split("-")[0] for name in wheel.namelist()}
    assert tops == {"gemini_workshop", "gemini_from_scratch"}


def test_a_wheel_offers_the_command(wheel):
    (entry_points,) = [name for name in wheel.namelist() if name.endswith("entry_points.txt")]
    assert "gemini-workshop = gemini_workshop.cli.main:main" in wheel.read(entry_points).decode()
