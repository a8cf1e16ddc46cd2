"""From one lesson source to its starter and its solution."""
