"""Build a Gemini-style language model from scratch: reference implementations, checks and tools."""

__version__ = "0.1.0"
