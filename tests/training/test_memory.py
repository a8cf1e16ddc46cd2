import subprocess
import sys

import pytest


@pytest.mark.skipif(sys.platform != "linux", reason="other systems are left as they are")
def test_memory_that_was_freed_is_used_again_without_new_pages():
    """In a process of its own, because a process cannot go back."""
    script = """
import resource
import torch
from gemini_workshop.training.memory import keep_freed_memory

def new_pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(25, 2**20)  # 100 MB, 25,600 pages
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(new_pages())
keep_freed_memory()
new_pages()
print(new_pages())
"""
    finished = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    before, after = map(int, finished.stdout.split())
    if before < 100_000:
        pytest.skip("this C library keeps memory by itself, or pages are large")
    assert after < 1000
