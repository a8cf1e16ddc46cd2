"""Each failure is provoked and shows the fix for it."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
import torch
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager, NoSuchKernel

from gemini_workshop import diagnostics, paths
from gemini_workshop.diagnostics import Finding


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def named(findings, name) -> Finding:
    return next(finding for finding in findings if finding.name == name)


def test_this_machine_is_ready():
    findings = diagnostics.diagnose()
    assert [str(finding) for finding in findings if finding.verdict == "fail"] == []
    assert len({finding.name for finding in findings}) == len(findings) >= 25


def test_a_finding_is_one_line_and_its_fix_another():
    assert str(Finding("disk", "ok", "10 GiB")).split() == ["ok", "disk", "10", "GiB"]
    assert str(Finding("disk", "fail", "0 GiB", "Free some.")).splitlines()[1].strip() == "fix: Free some."


def test_an_old_python_fails():
    finding = diagnostics.python((3, 10, 4))
    assert (finding.verdict, finding.found) == ("fail", "3.10.4; 3.11 or newer is needed")
    assert "python3.11 -m venv" in finding.fix


def test_the_oldest_allowed_python_passes():
    assert diagnostics.python((3, 11, 0)) == Finding("Python", "ok", "3.11.0")


def test_every_core_requirement_is_looked_at_and_no_extra():
    names = [finding.name for finding in diagnostics.packages()]
    assert {"torch", "jupyterlab", "typer"} <= set(names)
    assert "pytest" not in names


def version_in_which(changes: dict[str, str | None]):
    real = diagnostics.metadata.version

    def version(name: str) -> str:
        answer = changes.get(name, real(name))
        if answer is None:
            raise diagnostics.metadata.PackageNotFoundError(name)
        return answer

    return version


def test_a_missing_package_fails_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(diagnostics.metadata, "version", version_in_which({"einops": None}))
    finding = named(diagnostics.packages(), "einops")
    assert (finding.verdict, finding.found) == ("fail", "missing; >=0.8 is needed")
    assert finding.fix == f'"{sys.executable}" -m pip install "einops>=0.8"'


@pytest.mark.parametrize(("version", "verdict"), [("2.5.1", "fail"), ("2.14.0", "fail"), ("2.6.0+cpu", "ok")])
def test_the_version_of_torch_is_compared_with_its_range(monkeypatch, version, verdict):
    monkeypatch.setattr(diagnostics.metadata, "version", version_in_which({"torch": version}))
    finding = named(diagnostics.packages(), "torch")
    assert finding.verdict == verdict
    assert finding.found.startswith(version)
    assert ("pip install" in finding.fix) == (verdict == "fail")


def test_a_workshop_that_is_not_installed_fails():
    (finding,) = diagnostics.packages("no-such-distribution")
    assert (finding.verdict, finding.name) == ("fail", "no-such-distribution")
    assert "pip install -e ." in finding.fix


def test_a_torch_that_does_not_load_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    finding = diagnostics.torch_build()
    assert finding.verdict == "fail"
    assert finding.found.startswith("ModuleNotFoundError: ")
    assert "pip install --force-reinstall" in finding.fix
    assert diagnostics.cores().verdict == "ok"


def test_a_torch_that_computes_nonsense_fails(monkeypatch):
    monkeypatch.setattr(torch, "arange", lambda _: torch.tensor([7.0]))
    finding = diagnostics.torch_build()
    assert (finding.verdict, finding.found) == ("fail", "0 + 1 + 2 + 3 gives 7.0")


def test_an_unknown_device_fails(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert diagnostics.device().verdict == "fail"


def test_a_cuda_build_without_a_gpu_is_a_note(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", "12.8")
    finding = diagnostics.device()
    assert (finding.verdict, finding.found[:4]) == ("note", "cpu;")


def test_more_threads_than_cores_is_a_note_with_a_number(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 64)
    finding = diagnostics.cores()
    assert finding.verdict == "note"
    assert "OMP_NUM_THREADS=2" in finding.fix


@pytest.mark.parametrize(("available", "verdict"), [(2**31 - 1, "fail"), (2**31, "ok")])
def test_too_little_memory_fails(monkeypatch, available, verdict):
    monkeypatch.setattr(psutil, "virtual_memory", lambda: SimpleNamespace(available=available, total=2**34))
    assert diagnostics.memory().verdict == verdict


@pytest.mark.parametrize(("free", "verdict"), [(2**30 - 1, "fail"), (2**30, "ok")])
def test_a_full_disk_fails(monkeypatch, free, verdict):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
    assert diagnostics.disk().verdict == verdict


def test_a_learners_folder_that_cannot_be_created_fails(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way", "utf-8")
    monkeypatch.setenv("GEMINI_WORKSHOP_HOME", str(tmp_path / "file"))
    finding = diagnostics.learner_folder()
    assert finding.verdict == "fail"
    assert finding.found.startswith(str(tmp_path / "file"))
    assert "GEMINI_WORKSHOP_HOME" in finding.fix


def test_the_learners_folder_is_created_and_left_empty(home):
    assert diagnostics.learner_folder().verdict == "ok"
    assert list(home.iterdir()) == []


def test_a_missing_preset_fails(tmp_path):
    shutil.copytree(paths.PACKAGE / "config" / "presets", tmp_path / "configs")
    assert diagnostics.configs(tmp_path / "configs").verdict == "ok"
    (tmp_path / "configs" / "small.yaml").unlink()
    finding = diagnostics.configs(tmp_path / "configs")
    assert (finding.verdict, finding.found[:6]) == ("fail", "small:")


@pytest.mark.parametrize("broken", diagnostics.CHECKPOINT_FILES)
def test_a_checkpoint_with_a_missing_or_empty_file_fails_and_names_it(tmp_path, broken):
    for name in diagnostics.CHECKPOINT_FILES:
        (tmp_path / name).write_text("content", "utf-8")
    assert diagnostics.checkpoint(tmp_path).verdict == "ok"
    (tmp_path / broken).write_text("", "utf-8")
    finding = diagnostics.checkpoint(tmp_path)
    assert (finding.verdict, finding.found) == ("fail", f"{tmp_path.name} lacks {broken}")
    assert finding.fix


def test_missing_samples_fail(tmp_path):
    (tmp_path / "README.md").write_text("about the samples", "utf-8")
    assert diagnostics.samples(tmp_path).verdict == "fail"
    (tmp_path / "stories.txt").write_text("Once upon a time", "utf-8")
    assert diagnostics.samples(tmp_path).verdict == "ok"


def test_what_came_with_a_clone_is_restored_by_git_and_else_by_pip(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "clone_folder", lambda: tmp_path)
    assert diagnostics.checkpoint(tmp_path).fix == f'git restore "{tmp_path}"'
    monkeypatch.setattr(paths, "clone_folder", lambda: None)
    assert "pip install --force-reinstall" in diagnostics.checkpoint(tmp_path).fix


def test_lessons_that_were_never_built_fail_and_those_of_a_package_are_installed_again(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "notebooks_folder", lambda: tmp_path)
    assert diagnostics.notebooks().fix == "gemini-workshop notebooks build"
    (tmp_path / ".ipynb_checkpoints").mkdir()
    (tmp_path / ".ipynb_checkpoints" / "old.ipynb").write_text("{}", "utf-8")
    assert diagnostics.notebooks().verdict == "fail"
    (tmp_path / "00_setup.ipynb").write_text("{}", "utf-8")
    assert diagnostics.notebooks() == Finding("lessons", "ok", "1 notebooks")
    monkeypatch.setattr(paths, "clone_folder", lambda: None)
    monkeypatch.setattr(paths, "notebooks_folder", lambda: tmp_path / "nowhere")
    assert "pip install --force-reinstall" in diagnostics.notebooks().fix


@pytest.mark.parametrize(
    ("program", "verdict"),
    [
        ("python", "ok"),
        (f"python3.{sys.version_info.minor}", "ok"),
        (sys.executable, "ok"),
        (str(Path(sys.executable).with_name("python3")), "ok"),
        (str(Path(sys.executable).parents[2] / "other" / "bin" / "python"), "fail"),
        ("python2", "fail"),
    ],
)
def test_the_kernel_must_start_this_python(monkeypatch, program, verdict):
    spec = KernelSpec(argv=[program, "-m", "ipykernel_launcher"])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: spec)
    finding = diagnostics.kernel()
    assert finding.verdict == verdict
    assert ("ipykernel install" in finding.fix) == (verdict == "fail")


def test_a_link_to_the_same_binary_in_another_environment_is_another_python(monkeypatch, tmp_path):
    (tmp_path / "bin").mkdir()
    other = tmp_path / "bin" / "python"
    try:
        other.symlink_to(sys.executable)
    except OSError:
        pytest.skip("this account may not make links")
    spec = KernelSpec(argv=[str(other)])
    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", lambda *_: spec)
    assert diagnostics.kernel().verdict == "fail"


def test_a_missing_kernel_fails(monkeypatch):
    def nothing(*_: object) -> None:
        raise NoSuchKernel("python3")

    monkeypatch.setattr(KernelSpecManager, "get_kernel_spec", nothing)
    assert diagnostics.kernel().found == "no kernel called python3"


def test_a_missing_browser_is_only_a_note(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda _: None)
    monkeypatch.setattr(diagnostics.importlib.util, "find_spec", lambda _: None)
    assert diagnostics.browser() == Finding("browser tests", "note", "no chromium, no playwright (for contributors)")
