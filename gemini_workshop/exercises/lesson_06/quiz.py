"""Lesson 06, the transformer block and a whole model: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
What does a block do to the stream if both its sublayers write zeros? (Norms before the sublayers.)
- It becomes zero.
  It would if outputs replaced the stream. They are added to it, and adding zero changes nothing.
- It is normalized.
  Only the copy that a sublayer reads is normalized. The stream itself passes unchanged, which is the point of putting
  the norm before the sublayer.
+ Nothing: the block is the identity.
  A block has to learn only what to add. If the matrices that write start at zero, the whole stack is the identity
  before its first step; if not, each block adds something random at first.

Over what does RMSNorm take its mean?
+ Over the channels of one token.
  Each token by itself, so a token's result never depends on the others or on the batch.
- Over the tokens of the batch, channel by channel.
  That is batch normalization. In a language model it would let a token see the future, and its result would depend on
  what else is in the batch.
- Over everything at once.
  Then one large token would make all others small.

A new model reaches a loss of 0.01 on one small batch. What have you learned?
- That it will generalize.
  It has memorized a few sentences. That says nothing about other sentences.
- That the learning rate is right.
  A rate that memorizes a tiny batch may well fail on a large model and real data.
+ That gradients reach what they must to memorize it. Not that the model is right.
  A model that reads its own future passes this test too, as you saw. You also need the test of lesson 02.

The head is tied to the embedding. What does that change?
- The head costs no operations.
  It costs no memory. Looking up a row is free, but the logits of V tokens take V products of length D.
+ One table is stored and trained instead of two; the arithmetic is the same.
  The product with every row of the vocabulary still has to be computed.
- The model can only repeat its input.
  A freshly initialized model does tend to predict the token that it has just read. What the blocks add changes that, as
  the logit lens showed.
""")
