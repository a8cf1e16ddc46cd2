"""From documents to batches: shards, rows, batches."""
