"""Lesson 11, the training loop: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
A new model with a vocabulary of 512 tokens starts with a loss of 6.24 nats per token. What does that say?
- That the learning rate is too low.
  No step has been taken yet, so no rate has been used.
+ That it knows nothing, as it should: 6.24 is ln 512.
  All tokens are about equally likely. A start far above means that it is sure and wrong, a start below that the loss is
  computed wrongly.
- That it has learned how often each token occurs.
  That would be the unigram entropy, which is lower: frequent tokens are easier to guess.

Why does AdamW divide the mean gradient by the root of the mean square?
- To make all gradients smaller, so that the run is stable.
  Small ones are made larger. Clipping is what limits large ones, and only those.
+ So that each weight moves by about the learning rate, however large its gradients are.
  The size of the gradient cancels; what stays is how reliable its sign is.
- So that weights with large gradients move more.
  Without the division they would. With it they do not.

A batch is read in two parts, with 900 and 100 targets. How is the gradient of its mean loss put together?
- As the average of the two parts' mean losses.
  Then each of the 100 targets would weigh nine times as much as one of the 900.
- As the sum of the two parts' mean losses.
  That is twice the average, and a batch in four parts would take steps four times as large with plain gradient descent.
+ As 0.9 times the first part's mean loss plus 0.1 times the second's.
  Each target then counts once, whatever part it is in.

A run is resumed with its weights, but with a new optimizer. What happens?
- Nothing: the weights are what was learned.
  The running means are needed for the next steps, and they are gone.
+ The next steps are another run's: AdamW's means begin at zero again.
  The first steps have the full size of the learning rate, whatever the old means knew about each weight.
- An error: the optimizer does not know the weights.
  A new optimizer takes any weights. Nothing warns you.

The training loss is 0.02 after fifty steps on stories that the model has never seen. What do you do?
- Stop early: the model has learned enough.
  No model can know a story that well in advance. Something is wrong.
- Raise the weight decay against overfitting.
  Overfitting needs to have seen the text before. Here every batch is new.
+ Look for a way in which the model can see its targets: the shift, then the mask.
  A loss below what the text's own randomness allows is a bug.
""")
