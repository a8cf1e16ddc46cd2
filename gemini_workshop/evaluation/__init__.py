"""What a model is worth, in numbers with units."""
