"""What is written down twice must agree, and what is built must be whole."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
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
AT_THE_TOP |= {"pyproject.toml", "setup.py", "MANIFEST.in", "environment.yml", "CITATION.cff"}
AT_THE_TOP |= {".gitignore", ".pre-commit-config.yaml"}
AT_THE_TOP |= {"gemini_workshop", "notebooks", "tests", "slides", "docs", "data", ".ci", ".github", ".devcontainer"}
# Needed by learners without an import in the package: JupyterLab runs the lessons, widgets and seaborn are used there.
USED_BY_LESSONS = {"jupyterlab", "ipywidgets", "seaborn", "sentencepiece", "scikit-learn"}


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(line).name) for line in requirements}


CORE = names(PROJECT["project"]["dependencies"])
DEV = names(PROJECT["project"]["optional-dependencies"]["dev"])
SCRAPING = names(PROJECT["project"]["optional-dependencies"]["scraping"])
CONSTRAINED = names(PROJECT["project"]["optional-dependencies"]["constrained"])
HUB = names(PROJECT["project"]["optional-dependencies"]["hub"])
GGUF = names(PROJECT["project"]["optional-dependencies"]["gguf"])
ONNX = names(PROJECT["project"]["optional-dependencies"]["onnx"])
SLIDES = names(PROJECT["project"]["optional-dependencies"]["slides"])
ENGINES = names(PROJECT["project"]["optional-dependencies"]["engines"])
DOCS = names(PROJECT["project"]["optional-dependencies"]["docs"])
DEMO = names(PROJECT["project"]["optional-dependencies"]["demo"])
SERVE = names(PROJECT["project"]["optional-dependencies"]["serve"])
BUNDLE = names(PROJECT["project"]["optional-dependencies"]["bundle"])
PARTS_OF_FASTAPI = {"starlette"}  # in the version that fits it
MAY_NEED = {
    "authoring": DEV | SLIDES | DOCS,
    "benchmarks": DEV | ENGINES,
    "data": SCRAPING | HUB,
    "generation": CONSTRAINED,
    "exchange": GGUF | ONNX,
    "bundle": BUNDLE,
    "room": SERVE | PARTS_OF_FASTAPI,
    "serving": SERVE | PARTS_OF_FASTAPI,
    "demos": DEMO | SERVE | PARTS_OF_FASTAPI,
}


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
    return {canonicalize_name(home) for home in HOMES.get(module, [module])}  # not installed: by its own name


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


def test_every_optional_dependency_is_used():
    """An import, or a quoted name where a library is loaded by its name (a parser, a tracker, a browser)."""
    extras = {name: names(lines) for name, lines in PROJECT["project"]["optional-dependencies"].items()}
    files = [*(TOP / "gemini_workshop").rglob("*.py"), *(TOP / "tests").rglob("*.py")]
    text = "\n".join(path.read_text("utf-8") for path in files if path != Path(__file__))
    used = extras.pop("dev") | {"gemini-from-scratch", "onnxscript"}  # PyTorch writes ONNX through onnxscript
    for module in set(re.findall(r"(?:\bimport |\bfrom |[\"'])(\w+)", text)):
        used |= homes_of(module) | {canonicalize_name(module)}
    assert {name: unused for name, each in extras.items() if (unused := each - used)} == {}


def test_no_requirement_is_pinned_and_torch_stays_below_two_fourteen():
    extras = PROJECT["project"]["optional-dependencies"].values()
    requirements = [Requirement(line) for line in sum(extras, PROJECT["project"]["dependencies"])]
    assert [str(requirement) for requirement in requirements if "==" in str(requirement.specifier)] == []
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


def test_the_citation_names_the_version_and_licence_of_the_package():
    citation = yaml.safe_load((TOP / "CITATION.cff").read_text("utf-8"))
    assert citation["version"] == gemini_workshop.__version__
    assert citation["license"] == PROJECT["project"]["license"]


def test_the_container_installs_what_the_readme_tests_with():
    container = json.loads((TOP / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    assert container["postCreateCommand"].startswith("pip install -e '.[dev]'")
    assert (TOP / ".devcontainer" / container["build"]["dockerfile"]).exists()


@pytest.mark.parametrize("form", ["bug", "check_wrong", "exercise_unclear"])
def test_an_issue_form_asks_for_something_that_must_be_answered(form):
    content = yaml.safe_load((TOP / ".github" / "ISSUE_TEMPLATE" / f"{form}.yml").read_text("utf-8"))
    assert content["name"]
    assert content["description"]
    fields = [part for part in content["body"] if part["type"] in {"input", "textarea"}]
    assert any(part.get("validations", {}).get("required") for part in fields)
    assert len({part["id"] for part in fields}) == len(fields)


def test_every_week_the_newest_releases_are_tried_as_the_workflow_tests():
    weekly = yaml.safe_load((TOP / ".github" / "workflows" / "weekly.yml").read_text("utf-8"))
    steps = [step["run"] for step in weekly["jobs"]["newest"]["steps"] if "run" in step]
    assert "--upgrade-strategy eager" in steps[0]
    assert steps[-1] in (TOP / ".ci" / "run").read_text("utf-8").splitlines()


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


def test_nothing_unexpected_is_at_the_top():
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
def built(tmp_path_factory) -> Path:
    """A wheel and a source distribution, built from what is committed."""
    folder = tmp_path_factory.mktemp("built")
    for name in tracked_files():
        (folder / "clone" / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(TOP / name, folder / "clone" / name)
    build = "from setuptools import build_meta as b; b.build_wheel('..'); b.build_sdist('..')"
    subprocess.run([sys.executable, "-c", build], cwd=folder / "clone", capture_output=True, check=True)
    return folder


@pytest.fixture(scope="module")
def wheel(built) -> set[str]:
    (path,) = built.glob("*.whl")
    return set(zipfile.ZipFile(path).namelist())


def test_a_wheel_carries_everything_that_the_package_reads(wheel):
    package = {name for name in tracked_files() if name.startswith("gemini_workshop/") and "/." not in name}
    assert package <= wheel
    samples = {name.removeprefix("data/") for name in tracked_files() if name.startswith("data/samples/")}
    lessons = {name for name in tracked_files() if name.endswith(".ipynb")}
    assert len(samples) > 1
    assert len(lessons) > 10
    assert {f"gemini_workshop/{name}" for name in samples | lessons} <= wheel
    assert f"gemini_from_scratch-{gemini_workshop.__version__}.dist-info/licenses/LICENSE" in wheel


def test_a_wheel_carries_nothing_else(wheel):
    assert {name.split("/")[0].split("-")[0] for name in wheel} == {"gemini_workshop", "gemini_from_scratch"}
    assert {Path(name).suffix for name in wheel if name.startswith("gemini_workshop/notebooks/")} == {".ipynb"}


def test_a_wheel_offers_the_command(built, wheel):
    (entry_points,) = [name for name in wheel if name.endswith("entry_points.txt")]
    (path,) = built.glob("*.whl")
    assert "gemini-workshop = gemini_workshop.cli.main:main" in zipfile.ZipFile(path).read(entry_points).decode()


def test_a_wheel_lays_out_the_lessons_away_from_any_clone(built, tmp_path):
    """Unpacked, with nothing of the clone in reach, it lists its samples and copies its starters."""
    (path,) = built.glob("*.whl")
    zipfile.ZipFile(path).extractall(tmp_path / "site")
    source = """
import pathlib, gemini_workshop
from gemini_workshop import diagnostics, paths
from gemini_workshop.lessons.folder import find_copy, lay_out
assert pathlib.Path(gemini_workshop.__file__).parts[-3] == "site", gemini_workshop.__file__
print(*lay_out(pathlib.Path("mine")), find_copy(pathlib.Path("mine"), "02").solution.name)
assert diagnostics.notebooks().verdict == diagnostics.samples().verdict == "ok"
"""
    command = [sys.executable, "-c", source]
    environment = os.environ | {"PYTHONPATH": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    lessons = [Path(name).name[:2] for name in tracked_files() if name.startswith("notebooks/sources/")]
    numbers = sorted(number for number in lessons if number.isdigit())
    assert done.stdout == f"{' '.join(numbers)} 02_attention_mechanism_solution.ipynb\n", done.stderr
    assert (tmp_path / "mine" / "part2_fundamentals" / "02_attention_mechanism_starter.ipynb").is_file()


def test_a_source_distribution_has_the_notebooks_their_sources_and_the_docs(built):
    (path,) = built.glob("*.tar.gz")
    with tarfile.open(path) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    wanted = {name for name in tracked_files() if not name.startswith(".") and "/." not in name}
    assert wanted - names == set()
