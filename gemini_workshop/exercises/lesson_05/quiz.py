"""Lesson 05, feed-forward networks: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
A feed-forward layer is built without its activation, and twice as wide. What can it learn?
- More than before: there are more parameters.
  More numbers, the same functions. Section 1 multiplied three matrices into one and lost nothing.
+ What a single matrix can, whatever its width.
  Two matrices in a row multiply out to one. Width adds nothing that is not already a weighted sum of the channels.
- Nothing at all: no gradient passes.
  Gradients pass through a matrix without trouble. It learns, but only what a matrix can represent.

How does a feed-forward layer let one token learn from another?
- Through its hidden neurons, which all tokens share.
  The tokens use the same weights, and each token gets its own activations. Nothing that one token computes reaches
  another.
- Through the activation, which compares a token with the average.
  An activation sees one number. Comparing with an average is what norms do, and they too take one token at a time
  (lesson 06).
+ Not at all: it treats each token by itself.
  Moving information between tokens is attention's job. You changed one token and saw one output move.

Why is the width of a gated layer usually two thirds of a plain one's?
+ It has three matrices instead of two, and this gives both the same number of parameters.
  3 · w = 2 · ffn_dim. Comparing at equal width would compare a larger model with a smaller one.
- A gate is closed a third of the time, so a third of the neurons would be idle.
  How often gates are closed depends on the text and on training. The fraction only balances the parameter count.
- Wider gated layers are unstable.
  They train well at any width. The fraction only keeps comparisons fair.

The twenty strongest triggers of a neuron are all words for water. What do you know?
- It predicts words for water.
  What activates a neuron is its key. What it promotes is its value, and that is mostly something that comes next: a sea
  is rarely followed by a pond.
+ Where it is most active, in this text. What it is needed for is another question.
  It is also active, more weakly, on thousands of other tokens, and the layer's output is a sum over many neurons.
  Ablate it and measure.
- The model keeps its concept of water in this neuron.
  Then ablating it should cost the model that concept. Usually it costs next to nothing: other neurons respond to the
  same words.
""")
