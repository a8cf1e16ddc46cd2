"""Grade notebooks of strangers: what they hand in is read here, and runs in the sandbox of ``evaluation`` alone.

From a folder to submissions, from these to answers, from these to grades, from these to a report. The modules:

- ``submissions``: which notebooks are there, whose, and of which lesson
- ``cells``: the code of a notebook, whatever editor saved it
- ``answers``: for each exercise the statements that its answer needs, and no others
- ``signs``: what was tampered with, as far as reading shows it
- ``fresh``: cases that nobody has seen before
- ``jailed``: runs an answer in a jail; the reference is gone where values are computed
- ``outside``: judges the values, in a process that the answer cannot reach
- ``server``: the sandbox's server, which has imported the exercises before any answer comes
- ``grader``: one notebook after another, each answer in jails of its own
- ``gradebook``: all learners, with a worker for each core
- ``report``: what teachers and learners read
"""
