"""What every exercise shares: how an answer is run, judged and answered, and what is kept of it."""
