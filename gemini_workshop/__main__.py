"""``python -m gemini_workshop`` is the command ``gemini-workshop``."""

from gemini_workshop.cli.main import main

if __name__ == "__main__":
    main()
