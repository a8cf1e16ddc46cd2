"""The command gemini-workshop: parsing only, each command is one call into the package."""
