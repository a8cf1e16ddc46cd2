"""What a graded room is written down as: tables, a heat map, a page for each learner and one for the instructor."""
