"""Checks that say what is wrong, hints, and the learner's progress."""
