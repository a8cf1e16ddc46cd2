"""Before a long run: learning rate, batch size, one batch, cost."""
