"""docs/troubleshooting.md is searched for the words of an error, so those words are those of today: each is provoked.

What only another system, a full disk or a browser can say is listed by name, and not provoked.
"""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gemini_workshop import paths
from gemini_workshop.cli.main import app
from gemini_workshop.config import load_config
from gemini_workshop.data.download import verify
from gemini_workshop.devices import pick_device
from gemini_workshop.lessons.folder import begun_copy, find_copy, lay_out
from tests.clone import TOP

HEADINGS = re.findall(r"^### (.*)$", (TOP / "docs" / "troubleshooting.md").read_text("utf-8"), re.MULTILINE)
NOT_PROVOKED = {
    "`command not found: gemini-workshop`": "a shell's words, which differ",
    "`error: externally-managed-environment`": "the system's own Python",
    "`fbgemm.dll` or `c10.dll` or `The specified module could not be found`": "Windows",
    "`A module that was compiled using NumPy 1.x cannot be run in NumPy 2`": "a PyTorch that does not fit",
    "No browser opens": "not an error",
    "`Kernel Restarting: The kernel appears to have died`": "a full memory, in a browser",
    "Sliders do not move": "not an error",
    "Everything is slow, and all cores are busy": "not an error",
    "`not started`, although I wrote something": "each check, in tests/exercises",
    "`error in your code`": "each check, in tests/exercises",
}


def pip(*arguments):
    """What pip says without a network, and without the settings of this machine."""
    settings = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [sys.executable, "-m", "pip", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **settings}).stderr


def said_by(*arguments):
    """What one of our commands says before it ends."""
    result = CliRunner().invoke(app, [*map(str, arguments)])
    assert result.exit_code != 0
    return f"{result.output} {result.exception}"


def raised(function, *arguments, **options):
    with pytest.raises(Exception) as caught:  # noqa: PT011  (its words are what is asked about)
        function(*arguments, **options)
    return str(caught.value)


def newer_python(folder):
    wheel = folder / "tomorrow-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as content:
        metadata = "Metadata-Version: 2.1\nName: tomorrow\nVersion: 1\nRequires-Python: >=99\n"
        content.writestr("tomorrow-1.dist-info/METADATA", metadata)
        content.writestr("tomorrow-1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        content.writestr("tomorrow-1.dist-info/RECORD", "")
    return pip("install", "--no-index", "--no-deps", "--target", str(folder / "there"), str(wheel))


def no_build(folder):
    return pip("download", "--no-index", "--no-deps", "--dest", str(folder), "torch")


def full_disk(_):
    if not Path("/dev/full").exists():
        pytest.skip("no device that is always full")

    def write():
        with open("/dev/full", "w") as full:
            full.write("x")

    return raised(write)


def no_package(_):
    command = [sys.executable, "-I", "-S", "-c", "import gemini_workshop"]
    return subprocess.run(command, capture_output=True, text=True).stderr


def port_in_use(_):
    import jupyter_server.serverapp as serverapp

    return Path(serverapp.__file__).read_text("utf-8").replace("%i", "8888")


def no_sources(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(paths, "notebooks_folder", lambda: folder)
        return said_by("notebooks", "build", "02", "--no-execute")


def no_folder(folder):
    (folder / "mine").write_text("a file", "utf-8")
    return raised(lay_out, folder / "mine")


def no_starter(folder):
    copy = find_copy(folder, "02")
    shutil.copytree(copy.shipped.parent, copy.mine.parent, dirs_exist_ok=True)
    copy.mine.write_bytes(copy.shipped.read_bytes())
    return raised(begun_copy, folder, "02")


def damaged(folder):
    (folder / "corpus.txt").write_text("x", "utf-8")
    return raised(verify, folder / "corpus.txt", "0" * 64)


PROVOKED = {
    "`requires a different Python`": newer_python,
    "`Could not find a version that satisfies the requirement torch`": no_build,
    "`No space left on device`": full_disk,
    "`The port 8888 is already in use`": port_in_use,
    "`ModuleNotFoundError: No module named 'gemini_workshop'` in a notebook": no_package,
    "`The lesson sources are not here`": no_sources,
    "`The lessons cannot be copied to`": no_folder,
    "`so nothing says which starter`": no_starter,
    "`is not available on this machine. Choose auto`": lambda _: raised(pick_device, "abacus"),
    "`is not a multiple of`": lambda _: raised(replace, load_config("tiny").model, num_heads=6, num_kv_heads=4),
    "`is in several sections`": lambda folder: said_by(
        "train", "--preset", "tiny", "--corpus", "stories", "--set", "seed=3", "--out", folder / "run"
    ),
    "`its sha256 is`": damaged,
    "`There is no run in`": lambda folder: said_by("train", "--resume", "--out", folder / "none"),
}


def test_every_heading_is_provoked_or_says_why_not():
    assert set(HEADINGS) == set(PROVOKED) | set(NOT_PROVOKED)
    assert not set(PROVOKED) & set(NOT_PROVOKED)


@pytest.mark.parametrize("heading", PROVOKED)
def test_an_error_has_the_words_under_which_it_is_found(heading, tmp_path):
    words = re.match("`(.*?)`", heading)[1].removeprefix("ModuleNotFoundError: ")
    said = " ".join(PROVOKED[heading](tmp_path).split())
    assert words in said, said
