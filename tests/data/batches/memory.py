"""What reading batches from shards takes of a process's own memory; run as a program, it measures a large text.

python -m tests.data.batches.memory FOLDER MEGABYTES STEPS windows|packed|documents     # a line of JSON
"""

import json
import sys
from functools import partial
from pathlib import Path

import numpy as np

from gemini_workshop.data.batches.rows import LAYOUTS
from gemini_workshop.data.batches.shards import (
    INDEX_FILE,
    TOKENIZER_FILE,
    ShardHeader,
    TokenShards,
    read_header,
    shard_content,
    shard_path,
    tokenizer_sha256,
)
from gemini_workshop.data.batches.source import TokenSource
from tests.data.batches.sharded import TOKENIZER

TOKENS_PER_SHARD = 2**24


def write_random(folder: Path, num_bytes: int) -> TokenShards:
    """Shards of random ids in documents of 256 tokens, two bytes each, written without a tokenizer's work."""
    folder.mkdir(parents=True, exist_ok=True)
    TOKENIZER.save(folder / TOKENIZER_FILE)
    rng, headers = np.random.default_rng(0), []
    for number in range(-(-num_bytes // (2 * TOKENS_PER_SHARD))):
        count = min(TOKENS_PER_SHARD, num_bytes // 2 - number * TOKENS_PER_SHARD)
        ids = rng.integers(0, 11, count, dtype=np.uint16)
        ids[255::256] = TOKENIZER.end_of_text_id
        ends = np.arange(256, count + 1, 256)
        header = ShardHeader(
            num_tokens=count,
            num_documents=len(ends),
            num_bytes=count,
            text_sha256=str(number),
            vocab_size=TOKENIZER.vocab_size,
            end_of_text_id=TOKENIZER.end_of_text_id,
            tokenizer_sha256=tokenizer_sha256(TOKENIZER),
        )
        shard_path(folder, number).write_bytes(shard_content(header, ids, ends))
        written = read_header(shard_path(folder, number))  # with the sum of its content
        headers.append({name: getattr(written, name) for name in ShardHeader.__slots__})
    (folder / INDEX_FILE).write_text(json.dumps({"shards": headers}))
    return TokenShards(folder)


def own_bytes() -> int:
    """Memory of this process alone, without the pages of mapped files, which the system may take back."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return 1024 * next(int(line.split()[1]) for line in lines if line.startswith("Anonymous:"))


def growth(shards: TokenShards, steps: int, kind: str = "windows") -> tuple[int, int]:
    """Bytes that the rows and their order took, and bytes that reading the batches of many steps added to them."""
    before = own_bytes()
    layout = partial(LAYOUTS[kind], context_tokens=256)
    source = TokenSource(train=shards, validation_text=shards, layout=layout, batch_size=16)
    for step in range(20):
        source.batch(step)
    ready = own_bytes()
    for step in range(20, steps):
        source.batch(step)
    return ready - before, own_bytes() - ready


def held(shards: TokenShards) -> tuple[int, int]:
    """The size of the first shard's tokens, read whole, and what holding them adds: is the measurement awake?"""
    before = own_bytes()
    tokens = shards.tokens(0, TOKENS_PER_SHARD)
    return tokens.nbytes, own_bytes() - before


if __name__ == "__main__":
    _, folder, megabytes, steps, kind = sys.argv
    is_there = Path(folder, INDEX_FILE).exists()
    shards = TokenShards(folder) if is_there else write_random(Path(folder), int(megabytes) << 20)
    taken, added = growth(shards, int(steps), kind)
    size, seen = held(shards)
    report = {"rows": kind, "MiB of tokens": int(megabytes), "MiB ready": taken / 2**20, "KiB added": added / 2**10}
    print(json.dumps({**report, "MiB of a shard": size / 2**20, "MiB when held": seen / 2**20}))
