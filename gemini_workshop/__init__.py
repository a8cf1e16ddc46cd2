"""Build a Gemini-like language model from nothing: reference implementations, checks and tools."""

__version__ = "0.1.0"
