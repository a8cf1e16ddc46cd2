"""The learner's own copies of the lessons: laid out, started again, brought up to date, compared."""
