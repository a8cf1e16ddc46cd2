"""Lesson 02, attention: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
Along which axis do the attention weights sum to one?
- Over the queries: each column of the map.
  Then every word would receive exactly one unit of attention in all, however unimportant it is. It is the query that
  asks, so the query's attention weights sum to one.
+ Over the keys: each row of the map.
  Each query distributes exactly one unit of attention.
- Over the channels.
  Channels are gone by then: a score is already a sum over channels, one number for each pair of tokens.

Why are scores divided by √d, and not by d?
+ A sum of d independent products has variance d; its standard deviation grows like √d.
  Dividing by √d keeps it at one for every head size.
- To bring every score between -1 and 1.
  Scores stay unbounded after the division. Only their typical size no longer depends on d.
- It is the length of the vectors, so the division gives a cosine.
  The length of a random vector is about √d, but a cosine would divide by both lengths, about d in all. (Some models,
  Gemma 3 among them, do normalize queries and keys first.)

A model masks after the softmax by multiplying with 0 and 1. What goes wrong?
- Nothing: a weight of zero is a weight of zero.
  The hidden keys do end at zero. But their scores already took part in the softmax's sum, so the visible ones got less,
  by an amount that depends on the future.
- The gradient becomes nan.
  Nothing here divides by zero. That happens when a whole row is hidden before the softmax.
+ The remaining attention weights no longer sum to one.
  The first token, which sees only itself, may be left with a few percent of its own value.

A head's map shows that “he” attends to “Tom” with a weight of 0.6. What do you know?
- That the model has understood the pronoun.
  The next layers may ignore what this head brings, or another head may bring it too. An attention map is a hint, not a
  proof.
+ Where this head reads from. Whether the model needs it is another question, and can be measured.
  Take the head away and look at the loss, as you have just done.
- That 60 % of the next word's probability comes from “Tom”.
  The attention weight multiplies a value vector inside one head of one layer. It is a long way from there to a
  probability of the next word.
""")
