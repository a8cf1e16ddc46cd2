"""After pretraining: a model that continues texts becomes one that follows instructions."""
