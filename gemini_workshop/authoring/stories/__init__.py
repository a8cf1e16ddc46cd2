"""The generator of the sample stories. Read generator, then teller, then the files in grammar/."""
