"""Copies of a model that decode faster; none of them can be trained or saved."""
