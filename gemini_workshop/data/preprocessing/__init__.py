"""From raw texts to documents worth training on.

In the order of work: documents, cleaning, privacy, quality, deduplication, splitting; pipeline is all of these in one
stream, report what it counts; mixing joins several corpora.
"""
