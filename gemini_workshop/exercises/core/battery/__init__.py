"""What is asked of every answer whose values are right: gradients, kinds of numbers, ways to call it, beginnings."""
