"""Lesson 13, the project: the model of one's own parts, and the gates of its milestones."""
