"""Checks that say what is wrong, hints, and the learner's progress.

A lesson needs three names: ``check``, ``hint`` and ``solution`` from :mod:`gemini_workshop.exercises.core`.
"""
