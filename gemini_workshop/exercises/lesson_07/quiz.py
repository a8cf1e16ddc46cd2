"""Lesson 07, efficient attention: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
Why is FlashAttention faster on a GPU than attention written out?
- It computes fewer products.
  It computes the same ones (a few more in the backward pass, where it computes scores a second time).
+ It moves far fewer numbers between the slow memory and the cores.
  The scores never leave the fast memory. The arithmetic was never the bottleneck.
- It approximates the softmax.
  The online softmax is exact. Your tiles gave the same output to the last few bits.

A model has 6 layers, each with a window of 128 tokens. How far back can the last token's output depend on the text?
- 128 tokens.
  One layer sees that far. But what it sees are vectors that have already gathered from their own windows.
+ Up to 6 · 127 tokens.
  Each layer reaches 127 tokens further back. That it can does not mean that it does: you have measured how fast the
  influence falls.
- To the beginning: layers pass everything on.
  Each layer passes it on by one window only. Beyond six of them nothing arrives; the test gives exact zeros.

Grouped-query attention with 32 query heads and 8 key/value heads: what shrinks?
- The arithmetic of the scores, to a quarter.
  Every query head still meets every key: the scores are as many as before.
+ The cache, to a quarter.
  Eight heads' keys and values are kept in place of 32. The matrices that make them shrink, too.
- The number of attention maps.
  Each query head still has a map of its own, since its queries are its own.

What does multi-head latent attention keep in the cache?
- Keys and values of all heads, rounded to 8 bits.
  That is quantization; it can be combined with any of these.
- One key/value head for all query heads.
  That is multi-query attention. Here each head unpacks keys and values of its own.
+ One small vector per token, from which every head unpacks its keys and values (and a short rotated key).
  Neither keys nor values have to exist: the unpacking can be moved to the side of the query.

In many large models the loss jumps when a sliding window loses the first token. Ours did not mind. What explains both?
- The first token holds the topic of the text, and stories have none.
  With any token in its place large models do the same. It is not what it says that matters.
+ A head that finds nothing must put its weight somewhere: on the first token, unless training let that one leave.
  A softmax gives away all its weight. Where it goes is learned, so measure it before you drop tokens.
- Positions outside the window are unknown to the model.
  Positions inside the window are as before, in both kinds of model.
""")
