"""Lesson 03, multi-head attention: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
One head and eight heads have the same total width and the same number of parameters. What do eight give that one does
not?
- Compare vectors more exactly.
  Less exactly, if anything: each of the eight compares with an eighth of the channels.
- Compute faster.
  They need as many multiplications as one. What grows is the number of attention weights: there are eight times as many
  maps.
+ Fetch several things for one token without mixing them.
  A head gives each token one set of attention weights, and so one mixture. Eight heads give it eight. (What is mixed
  may be told apart again by something nonlinear that reads it, as in section 5; a matrix alone cannot do that.)

Why does `x.view(B, H, T, C)` not split a tensor of shape (B, T, H · C) into heads?
- `view` raises an error there.
  If only it did. The number of elements fits, so `view` does not complain.
+ It keeps the order of the numbers and indexes them differently, so a head gets a few whole tokens.
  The shape is right, nothing complains, and a causal mask no longer keeps the future out.
- It does, and the matrices learn to live with another order of channels.
  An order of channels could be learned. But here whole tokens end up in different heads, and no matrix that works on
  one token at a time can undo that.

A question of 5 tokens looks into a text of 90 tokens by cross-attention. What shape is the attention map of one head?
+ 5 rows, 90 columns.
  One row for each token that asks; its attention weights over the text sum to one.
- 90 rows, 5 columns.
  Then the text would ask. The queries come from x, here the question.
- 95 rows, 95 columns.
  That would be self-attention over both, laid end to end. Some models do that, and it lets the text look at itself as
  well.

What is lost if the output matrix is left out?
- The heads can no longer see each other's maps.
  They never could: nothing passes between heads before the output.
- Nothing: the value matrix can do it.
  For one head that is true, since two matrices in a row are one. With several heads the value matrix of head 0 still
  ends in piece 0.
+ Each head can write only to its own piece of the channels.
  The matrix has columns for every head; with it, any head can write to any channel, and two heads can add to the same
  one.
""")
