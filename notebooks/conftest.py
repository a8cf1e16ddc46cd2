"""nbval starts its kernels as the builder does: one thread, no network, a learner's folder of their own."""

import os
import tempfile
from pathlib import Path

import pytest

from gemini_workshop.authoring.kernel import kernel_environment

FOLDER = tempfile.TemporaryDirectory(prefix="gemini-workshop-", ignore_cleanup_errors=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup(item: pytest.Item):
    """The first cell of a notebook starts its kernel, which inherits the environment of this moment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in kernel_environment(Path(FOLDER.name) / item.path.stem).items():
            patch.setitem(os.environ, name, value)
        return (yield)
