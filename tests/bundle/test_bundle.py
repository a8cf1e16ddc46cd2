"""A folder for a USB stick, made of a tiny project and a folder of tiny wheels: no network is used."""

import ensurepip
import os
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from gemini_workshop.bundle import contents, locking
from gemini_workshop.bundle.locking import Sources, wheels_for
from gemini_workshop.bundle.making import Bundle, make_bundle
from gemini_workshop.bundle.platforms import PLATFORMS, platform_called, python_called
from gemini_workshop.errors import WorkshopError
from tests.bundle.test_platforms import THIS

PIP = next(Path(ensurepip.__file__).parent.glob("_bundled/pip-*.whl"), None)
PYPROJECT = """
[build-system]
requires = ["setuptools>=77"]
build-backend = "setuptools.build_meta"
[project]
name = "gemini-from-scratch"
version = "0.1.0"
dependencies = ["tiny-part>=1", "only-windows; sys_platform == 'win32'"]
[project.optional-dependencies]
serve = ["tiny-server"]
[project.scripts]
gemini-workshop = "gemini_workshop:main"
[tool.setuptools]
packages = ["gemini_workshop"]
"""
CODE = """
import sys, tiny_part
def main():
    print("the tiny doctor is here:", sys.argv[1], tiny_part.VALUE)
"""

pytestmark = pytest.mark.skipif(
    THIS is None or PIP is None, reason="no bundle for this machine, or no pip to put into it"
)


def tiny_wheel(folder, name, version="1.0", tag="py3-none-any", code="VALUE = 42\n"):
    """A wheel by hand."""
    module, path = name.replace("-", "_"), folder / f"{name.replace('-', '_')}-{version}-{tag}.whl"
    about = f"{module}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"{module}.py", code)
        wheel.writestr(f"{about}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(f"{about}/WHEEL", f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n")
        wheel.writestr(f"{about}/RECORD", "")
    return path


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A repository with what a bundle is made of, and something that nobody is to get."""
    top = tmp_path_factory.mktemp("clone")
    for name, text in {
        "pyproject.toml": PYPROJECT,
        "gemini_workshop/__init__.py": CODE,
        "MANIFEST.in": "graft slides\n",
        "slides/01_deck.pdf": "slides",
        "runs/mine/secret.txt": "nobody's business",
    }.items():
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_text(text, "utf-8")
    return top


@pytest.fixture(scope="module")
def links(tmp_path_factory):
    """All the wheels that there are."""
    folder = tmp_path_factory.mktemp("links")
    shutil.copy(PIP, folder)
    tiny_wheel(folder, "tiny-part", "1.0")
    tiny_wheel(folder, "tiny-part", "1.1")
    tiny_wheel(folder, "tiny-server")
    tiny_wheel(folder, "only-windows", tag="py3-none-win_amd64")
    return folder


@pytest.fixture
def wanted(clone, links):
    return Bundle(
        clone=clone,
        target=platform_called(None),
        python=python_called(None),
        sources=Sources(find_links=(links,), no_index=True),
    )


@pytest.fixture(scope="module")
def made(clone, links, tmp_path_factory):
    """A folder with spaces in its name, and what was said while it was made."""
    said, out = [], tmp_path_factory.mktemp("usb") / "the stick"
    site = tmp_path_factory.mktemp("site")
    (site / "index.html").write_text("<h1>site</h1>", "utf-8")
    sources = Sources(find_links=(links,), no_index=True)
    bundle = Bundle(clone=clone, target=platform_called(None), python=python_called(None), sources=sources, site=site)
    make_bundle(bundle, out, said.append)
    return out, said


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_it_holds_wheels_repository_slides_site_scripts_and_sums(made):
    out, said = made
    assert {path.name for path in (out / "wheels").iterdir()} == {
        PIP.name,
        "tiny_part-1.1-py3-none-any.whl",
        "tiny_server-1.0-py3-none-any.whl",
        "gemini_from_scratch-0.1.0-py3-none-any.whl",
    }
    assert files(out) >= {"repository/pyproject.toml", "slides/01_deck.pdf", "site/index.html", "install.sh"}
    assert not [name for name in files(out) if "secret" in name]
    scripts = "".join((out / name).read_text("utf-8") for name in ("START_HERE.txt", "install.ps1", "install.sh"))
    assert re.findall("@[A-Z]+@", scripts) == []
    assert "3 wheels" in said[1]
    assert "is complete" in said[-1]


@pytest.mark.skipif(shutil.which("sha256sum") is None, reason="no sha256sum on this machine")
def test_sha256sum_accepts_the_sums(made):
    out, _ = made
    done = subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=out, capture_output=True, text=True, check=True)
    assert len(done.stdout.splitlines()) == len(files(out)) - 1


def without_a_network(command, **options):
    """Run a command where there is no network, if the system can, else as it is."""
    isolated = ["unshare", "-rn"]
    can = (
        shutil.which("unshare")
        and subprocess.run([*isolated, "true"], capture_output=True, check=False).returncode == 0
    )
    return subprocess.run(
        [*isolated, *command] if can else command, capture_output=True, text=True, check=False, **options
    )


@pytest.mark.skipif(os.name == "nt", reason="install.sh is for Linux and macOS")
def test_it_installs_without_a_network_and_the_command_runs(made, tmp_path):
    out, _ = made
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    target = tmp_path / "installed here"
    done = without_a_network(["sh", str(out / "install.sh"), str(target)], env={"PATH": path, "HOME": str(tmp_path)})
    assert done.returncode == 0, done.stderr
    assert "the tiny doctor is here: doctor 42" in done.stdout
    assert f'Begin:  "{target}/bin/gemini-workshop" lab' in done.stdout
    listed = subprocess.run(
        [target / "bin/python", "-m", "pip", "list"], capture_output=True, text=True, check=True
    ).stdout
    assert {line.split()[0] for line in listed.splitlines()[2:]} >= {"pip", "tiny-part", "tiny-server"}


@pytest.mark.skipif(os.name == "nt", reason="install.sh is for Linux and macOS")
@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("WHEELS", "", "wheels/tiny_server-1.0-py3-none-any.whl is damaged.\nCopy the folder again."),
        (f'!= "{platform_called(None).system if THIS else ""}"', '!= "Plan9"', "and this machine is"),
        (f'!= "{python_called(None)}"', '!= "2.7"', "is needed, and was not found"),
    ],
    ids=["damaged", "another system", "another Python"],
)
def test_where_it_cannot_be_installed_the_script_says_why(made, tmp_path, old, new, says):
    copy = tmp_path / "copy"
    shutil.copytree(made[0], copy)
    if old == "WHEELS":
        with next((copy / "wheels").glob("tiny_server*")).open("ab") as file:
            file.write(b"x")
    else:
        text = (copy / "install.sh").read_text("utf-8")
        assert old in text
        (copy / "install.sh").write_text(text.replace(old, new), "utf-8")
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    command = ["sh", str(copy / "install.sh"), str(tmp_path / "target")]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={"PATH": path, "HOME": str(tmp_path)}
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert not (tmp_path / "target").exists()


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_or_old_is(made, wanted, tmp_path):
    out, said = tmp_path / "again", []
    shutil.copytree(made[0] / "wheels", out / "wheels")
    with (out / "wheels" / "tiny_part-1.1-py3-none-any.whl").open("ab") as file:
        file.write(b"damaged")
    for leftover in ("old-1.0-py3-none-any.whl", ".x.whl.lock", "tiny_server-1.0-py3-none-any.whl.part"):
        (out / "wheels" / leftover).touch()
    make_bundle(wanted, out, said.append)
    assert "2 of them are there already" in said[1]
    assert [line for line in said if line.startswith("[")] == ["[1/1] tiny-part 1.1 (0.0 MiB)"]
    assert {path.name for path in (out / "wheels").iterdir()} == {path.name for path in (made[0] / "wheels").iterdir()}


def test_another_machine_gets_what_only_it_needs(clone, links):
    sources = Sources(find_links=(links,), no_index=True)
    names = {
        name: {wheel.package for wheel in wheels_for(clone, (), PLATFORMS[name], "3.12", sources)}
        for name in ("win_amd64", "linux_x86_64", "macos_arm64")
    }
    assert names["win_amd64"] == {"pip", "tiny-part", "only-windows"}
    assert names["linux_x86_64"] == names["macos_arm64"] == {"pip", "tiny-part"}


def test_a_package_without_a_wheel_is_named(clone, links, tmp_path):
    for path in links.glob("*.whl"):
        if "tiny_part" not in path.name:
            shutil.copy(path, tmp_path)
    tiny_wheel(tmp_path, "tiny-part", tag="py3-none-win_amd64")
    sources = Sources(find_links=(tmp_path,), no_index=True)
    with pytest.raises(WorkshopError, match=r"There is no set of wheels for linux_x86_64, Python 3\.12: .*tiny-part"):
        wheels_for(clone, (), PLATFORMS["linux_x86_64"], "3.12", sources)


def test_an_index_that_cannot_be_reached_is_said(clone, monkeypatch):
    monkeypatch.setenv("UV_HTTP_RETRIES", "0")
    with pytest.raises(
        WorkshopError, match=r"The package index cannot be reached: .*127\.0\.0\.1:9.*Connect to the network"
    ):
        wheels_for(clone, (), PLATFORMS["win_amd64"], "3.12", Sources(index="http://127.0.0.1:9/simple"))


def test_a_disk_that_is_too_small_is_said_before_anything_is_fetched(wanted, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1000))
    with pytest.raises(WorkshopError, match=r"The disk of .* has 0 MiB free, and \d+ are needed"):
        make_bundle(wanted, tmp_path / "out", lambda line: None)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_else_is_left_alone(wanted, tmp_path):
    (tmp_path / "thesis.doc").touch()
    with pytest.raises(WorkshopError, match=r"holds 'thesis\.doc', which is not part of a bundle"):
        make_bundle(wanted, tmp_path)
    with pytest.raises(WorkshopError, match="is a file"):
        make_bundle(wanted, tmp_path / "thesis.doc")


def test_a_site_that_was_not_built_and_a_clone_that_cannot_be_built_are_said(wanted, tmp_path):
    from dataclasses import replace

    with pytest.raises(WorkshopError, match=r"has no index\.html"):
        make_bundle(replace(wanted, site=tmp_path), tmp_path / "out")
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 3\n", "utf-8")
    with pytest.raises(WorkshopError, match=f"{tmp_path} cannot be built"):
        contents.copy_repository(tmp_path, tmp_path / "repository")


def test_a_corpus_comes_with_its_source_unless_it_may_not_be_passed_on(tmp_path, monkeypatch):
    story = tmp_path / "story.txt"
    story.write_text("Once", "utf-8")
    edition = SimpleNamespace(files=[SimpleNamespace(path="tinystories/small.txt")])
    monkeypatch.setattr(contents, "find_edition", lambda corpus, size: (edition, [story]))
    for _ in range(2):
        contents.copy_corpus("tinystories:small", tmp_path / "data")
    assert (tmp_path / "data/tinystories/small.txt").read_text("utf-8") == "Once"
    page = (tmp_path / "data/SOURCES.md").read_text("utf-8")
    assert page.count("CDLA-Sharing-1.0") == 1
    for name in ("alpaca", "imdb", "openwebtext"):
        with pytest.raises(WorkshopError, match=f"The corpus {name} may not be passed on"):
            contents.copy_corpus(name, tmp_path / "data")


def test_of_several_wheels_the_best_is_taken():
    order = {tag: place for place, tag in enumerate(PLATFORMS["linux_x86_64"].tags("3.12"))}
    names = [
        "a-1-py3-none-any.whl",
        "a-1-cp312-cp312-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        "a-1-cp312-cp312-manylinux_2_28_x86_64.whl",
        "a-1-cp310-abi3-manylinux_2_28_x86_64.whl",
    ]
    wheels = [{"url": f"https://x/{name}", "hashes": {"sha256": "0"}, "size": 1} for name in names]
    found = locking._wheel({"name": "a", "version": "1", "wheels": wheels}, order)
    assert found.filename == "a-1-cp312-cp312-manylinux_2_28_x86_64.whl"


def test_the_cpu_build_of_pytorch_in_a_folder_is_preferred(tmp_path):
    for name in (
        "torch-2.12.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.13.0+cpu-cp312-cp312-manylinux_2_28_x86_64.whl",
        "torch-2.14.0+cpu-cp313-cp313-manylinux_2_28_x86_64.whl",
        "torch-2.15.0+cpu-cp312-cp312-win_amd64.whl",
    ):
        (tmp_path / name).touch()
    sources = Sources(find_links=(tmp_path,))
    assert locking._cpu_build(sources, PLATFORMS["linux_x86_64"], "3.12") == "2.13.0+cpu"
    assert locking._cpu_build(sources, PLATFORMS["linux_x86_64"], "3.11") is None
