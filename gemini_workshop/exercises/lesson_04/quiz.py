"""Lesson 04, positions: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
Tokens go into one attention layer without mask and without positions. You shuffle them. What happens?
- Nothing at all changes.
  That would be invariance. Each output still belongs to its token and moves with it: equivariance.
+ The outputs are shuffled in the same way, and are otherwise the same.
  Attention compares and mixes; nothing in it knows which row came first.
- The outputs change, because other tokens stand next to each other.
  Next to each other has no meaning for it: every query meets every key, near or far.

A learned table has rows for 256 positions; all training texts were 64 tokens long. What is in row 100?
- A sensible continuation of rows 0 to 63.
  Each row is learned separately. Nothing connects row 100 with row 63.
- Zeros.
  Only if it had started that way. A row that is not used gets no gradient. (Weight decay, if there is any, shrinks it
  slowly towards zero, used or not.)
+ The random numbers with which the model was initialized.
  No text ever used that row, so it never got a gradient: it holds no information about position 100.

Queries and keys are rotated, values are not. Why not rotate the values as well?
+ They are mixed, not compared: a rotated value would carry its absolute position into the output.
  In a score the two rotations meet and only their difference is left. A value meets no second rotation that could undo
  its own.
- It would only cost time: the scores take care of the rest.
  It would change the result: shift the text, and every output changes.
- Values have another width.
  They often have the same width as keys, and could be rotated. It would still be wrong.

A model with rotary positions gets a text four times as long as any before. What is new to it?
- Nothing: distances are relative, so all lengths are the same to it.
  Relative, yes, but the long distances never occurred. You have seen what that costs.
+ Angles of slow pairs that no two tokens had in training.
  Fast pairs have been around the circle many times; slow ones reach a part of it that no weight was ever fitted to.
- The fast pairs overflow.
  An angle can grow as much as it likes; it comes around again. That is why fast pairs are *not* the problem.
""")
