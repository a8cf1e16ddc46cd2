"""From raw texts to documents worth training on.

In the order of work: cleaning, privacy, quality, deduplication, splitting; pipeline is all of these in one
stream, report what it counts.
"""
