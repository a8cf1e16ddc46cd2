"""Conversations: how turns are written, which of their tokens a model learns to say, and where they come from."""
