"""A small corpus in shards for the tests of this folder; run as a program, it writes them in a process of its own.

python -m tests.data.batches.sharded FOLDER NUM_PROCESSES SECONDS_BEFORE_RENAMING
"""

import os
import random
import sys
import time
from pathlib import Path

from gemini_workshop.data.batches.sharding import write_shards
from gemini_workshop.data.batches.shards import TokenShards
from gemini_workshop.data.tokenizers import CharTokenizer

SHARD_BYTES = 400
TOKENIZER = CharTokenizer(list("abcdefghijk"))  # 13 ids: the tiny model's vocabulary


def documents(count: int = 60) -> list[str]:
    """Words of 0 to 30 letters, always the same."""
    rng = random.Random(0)
    return ["".join(rng.choices("abcdefghijk", k=rng.randrange(31))) for _ in range(count)]


def write(folder: Path, texts: list[str] | None = None, **options) -> TokenShards:
    return write_shards(
        documents() if texts is None else texts, TOKENIZER, folder, **{"shard_bytes": SHARD_BYTES, **options}
    )


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


if __name__ == "__main__":
    flush = os.fsync
    os.fsync = lambda file: (flush(file), time.sleep(float(sys.argv[3])))[0]  # time to be killed between two renames
    write(Path(sys.argv[1]), num_processes=int(sys.argv[2]))
