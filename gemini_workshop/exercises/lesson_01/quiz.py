"""Lesson 01, recurrent networks: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
An RNN has learned to recall over 5 steps and fails at 40. What is the first thing to suspect?
- The state is too small to hold so much.
  There is as much to hold at 40 as at 5: one symbol of eight. Capacity does not depend on how long it is held.
+ The gradient from step 40 back to step 0 is too small to learn from.
  It shrinks by a factor per step. The latch shows that a state can hold one bit for any number of steps; what is
  missing is the signal that would teach it to. (More training, other initial weights or a larger learning rate may
  still get it there; the factor is what they have to overcome.)
- It has overfitted.
  Every batch is newly drawn, and no sequence of 40 symbols comes twice: there is nothing to memorize.

The largest singular value of a recurrent matrix is 1.3. What do you know about its gradients?
- They explode.
  Only if the same direction is stretched again and again and the tanh lets it pass. PyTorch's default had a largest
  singular value above one, and its gradients vanished.
- They vanish, because tanh keeps the state below one.
  That bounds the state. The gradient is a product of slopes, and a slope of nearly one times 1.3 is more than one.
+ They grow by a factor of at most 1.3 per step; they may still shrink.
  It is a bound, and a bound above one guarantees nothing. A tanh that is driven hard shrinks them, and so does a matrix
  that stretches a different direction at each step.

What lets an LSTM carry a gradient further?
+ Along the cell the gradient is multiplied by the forget gate, which can be close to one.
  There is no matrix and no tanh on that path. How close to one depends on the gate's bias: at zero, half of the cell is
  lost at each step.
- It has four times as many weights.
  The recall test gave both nearly the same number of weights, so this cannot be the reason.
- Its gates are sigmoids, whose slope is larger than that of tanh.
  It is smaller: at most 1/4, against 1. The cell helps because its path does not go through a squashing function at
  all.

Attention compares all pairs of tokens. Why can it still be trained faster than an RNN on a processor that does
thousands of things at the same time?
- It does fewer multiplications.
  For long texts it does more: their number grows with the square of the length, an RNN's with the length itself.
+ Its tokens do not wait for one another: the longest chain does not grow with the text.
  More work, but work that can be done at the same time. A chain of a thousand steps takes a thousand turns on any
  machine. (With few cores the work itself decides, and the RNN may win.)
- It has fewer weights.
  In the recall test both had nearly the same number. How long a pass takes is decided by what has to wait for what.
""")
