"""Lesson 13, the mini-Gemini project: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
A model has eight experts per layer, and each token goes to two. What does a third choice per token change?
- The number of parameters: three experts are more than two.
  All eight are there already, whoever is chosen. Only the work per token changes.
+ The work per token, and the parameters that it meets; not the number of all parameters.
  Experts are paid for twice: once in memory, for all of them, and once in time, for those that are chosen.
- Nothing, since the weights of the chosen experts sum to 1 either way.
  Their sum stays 1, and still three answers have to be computed instead of two.

Text that a user types contains "<|image|>". What should the tokenizer make of it?
- The mark of an image's place: that is how it is written.
  Then anybody could open places in the stream for which there is no image.
+ Tokens of ordinary letters. Marks are ids that no text can produce.
  The program that builds the question puts the marks there itself.
- An error.
  It is an ordinary text, if an unusual one. This page contains it, too.

Why are questions, images and padding left out of the loss?
- To save time: they are the longest part.
  They go through the model all the same. Only the head is spared.
- Because their tokens have no embedding.
  Those of text do, and could be predicted. What would the model learn from it?
+ The model should learn to answer. At the place of a patch no word is right, and a question is given, not asked for.
  And all targets share one mean: the more of them say nothing, the less an answer weighs.

All 40 answers to a task were right. What do you report?
- 100 %.
  Of these forty. On ever more questions of the kind, nobody knows that.
- Nothing: 40 questions are too few to say anything.
  They say a good deal: an accuracy below 90 % would hardly have looked like this.
+ 100 %, with the interval in which the accuracy lies: from about 91 % up.
  The more questions, the narrower. Wilson's interval has a width even where all answers were right.

Your own attention takes the place of the package's. What must stay the same, and what need not?
+ The results and the names of the weights. The speed need not.
  So a checkpoint of one model loads into the other, and a kernel that is faster can come back at any time.
- The speed. Results may differ a little.
  Two models that differ are two models. Rounding aside, nothing may differ.
- Nothing: it is another model.
  It is another way to write the same one, and that can be measured.
""")
