"""Reading a text that is larger than memory must not fill memory.

Measured in a process of its own: one that has run other tests holds freed memory, and new arrays hide in it.
"""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large") / "shards"
    command = [sys.executable, "-m", "tests.data.batches.memory", folder, "64", "800", "windows"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_the_measurement_sees_tokens_that_are_held(report):
    assert report["MiB when held"] > 0.9 * report["MiB of a shard"] > 8


def test_batches_of_windows_take_a_few_bytes_per_row_however_many_are_read(report):
    assert report["MiB ready"] < 8
    assert report["KiB added"] < 1024
