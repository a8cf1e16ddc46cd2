"""One folder for a USB stick, from which the workshop is installed without a network.

platforms   the kinds of machine that a folder can be for
locking     which wheels such a machine needs: chosen by uv, with their sizes and sums
wheels      fetch them; what is there already is not fetched again
contents    repository, slides, data, checkpoints, and the sums of all files
making      all of it, step by step
scripts/    what lies in the folder to install from it
"""
