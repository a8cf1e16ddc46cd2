"""Lesson 09, multimodal fusion: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
An image of 64 x 64 pixels is cut into patches of 8 x 8. The patches are halved to 4 x 4. What happens to attention?
- Nothing: there are as many pixels as before.
  Attention counts tokens, not pixels.
- Twice as many tokens, twice the scores.
  Both sides are halved: four times as many tokens.
+ Four times as many tokens, sixteen times as many scores among them.
  64 tokens become 256, and each looks at all of them. This is why the size of a patch is a decision about money.

Why may the patches of an image see each other both ways, and words may not?
- Images have no order.
  They do: each patch has a row and a column. Its order is not one of time.
+ Nobody asks the model to predict a patch, so there is nothing to give away.
  A word is predicted from what stands before it. A patch was there as a whole when the text began.
- Patches are less important than words.
  It has nothing to do with importance; the question is what is to be predicted.

With a mask that leaks, the training loss of a language model falls to nearly 0. Then it has to write. What comes out?
- Excellent text: the loss says so.
  The loss says that it can copy the next token. While it writes, there is no next token to copy.
+ Little of use: what it has learned is to copy a token that is not there yet.
  A loss that is too good is the first sign of a leak. Change a later token, and look whether an earlier output moves.
- The same as with the right mask: writing uses the cache.
  While it writes the future is missing in both cases; but only one of the two models has learned to do without it.

A layer of gated cross-attention, its gate at 0, is put into a trained model. What does the first step change in it?
- Nothing: everything that is multiplied by 0 has no gradient.
  The factor has one: the derivative of tanh at 0 is 1, times what was found.
+ The gate, and nothing else in the layer.
  What was found is multiplied by 0, so its matrices get no gradient yet. From the second step on they do.
- Everything but the gate.
  It is the other way round.

SigLIP asks of each pair "do they belong together?". What becomes easier than with CLIP's softmax?
+ The batch can be spread over machines: no row of the table is needed as a whole.
  A softmax needs all captions of the batch at once. Here every pair has a loss of its own.
- Fewer negative pairs are needed.
  All pairs of the batch are used in both.
- Vectors need not be normalized.
  Both compare by cosines.
""")
