"""The website: guides, lessons with their stored outputs, the API and the figures, built without a network."""
