"""Names of platforms and versions, and which wheels fit them."""

import platform

import pytest
from packaging.tags import sys_tags

from gemini_workshop.bundle.platforms import PLATFORMS, platform_called, python_called
from gemini_workshop.errors import WorkshopError


def this_machine():
    try:
        return platform_called(None), python_called(None)
    except WorkshopError:
        return None


THIS = this_machine()


@pytest.mark.skipif(THIS is None, reason="no bundle for this machine")
def test_this_machine_is_called_by_its_system():
    assert THIS[0].system == platform.system()


@pytest.mark.skipif(THIS is None or platform.system() != "Linux", reason="the newest wheels of other systems differ")
def test_the_tags_of_this_machine_are_among_those_that_python_says_fit():
    ours, pythons = THIS[0].tags(THIS[1]), set(sys_tags())
    assert set(ours) <= pythons | {tag for tag in ours if "linux_" in tag.platform}
    assert any(tag in pythons and "manylinux" in tag.platform for tag in ours)


@pytest.mark.parametrize(
    ("name", "wheel"),
    [
        ("win_amd64", "win_amd64"),
        ("macos_arm64", "macosx_14_0_arm64"),
        ("macos_arm64", "macosx_11_0_universal2"),
        ("linux_aarch64", "manylinux2014_aarch64"),
        ("linux_x86_64", "manylinux_2_28_x86_64"),
    ],
)
def test_wheels_of_a_platform_fit_it_and_no_other(name, wheel):
    fitting = [each.name for each in PLATFORMS.values() if wheel in {tag.platform for tag in each.tags("3.12")}]
    assert name in fitting
    assert all(PLATFORMS[other].system == PLATFORMS[name].system for other in fitting)


def test_names_that_do_not_exist_are_refused():
    with pytest.raises(WorkshopError, match=r"There is no platform 'win64'.*win_amd64"):
        platform_called("win64")
    with pytest.raises(WorkshopError, match=r"--python '3\.9' is not a version that the workshop runs on"):
        python_called("3.9")


def test_a_machine_without_a_name_says_what_to_give(monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Plan9")
    with pytest.raises(WorkshopError, match=r"has no name here\. Give --platform"):
        platform_called(None)
