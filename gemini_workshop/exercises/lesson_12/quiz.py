"""Lesson 12, text generation: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
Why does greedy decoding repeat itself?
- The model is too small.
  Larger models do it less, but the most likely continuation of a text that repeats itself is to repeat it once more,
  and greedy decoding never leaves that path.
+ A repetition makes the next repetition more likely, and nothing random ever breaks the loop.
  Taking the most likely token at every step is not what makes a text look like one that people write.
- The softmax rounds small probabilities to zero.
  The most likely token is the same before and after the softmax. Rounding has nothing to do with it.

Where does top-p keep many tokens, and where few?
+ Many where the model is unsure, few where it is sure.
  It keeps as many as are needed to reach p.
- The same number everywhere, a fraction p of the vocabulary.
  That would be top-k with k = p · V. p is a fraction of the probability, not of the tokens.
- Few where the model is unsure: no token is likely enough.
  No token is compared with p on its own. Where all are unlikely, it takes many of them to reach p.

A cache makes decoding faster. What does it change in the text?
+ Nothing: keys and values of earlier tokens are the same whenever they are computed.
  In a causal model no later token changes them. Only rounding in the last digits may differ.
- A little: the model no longer attends to the prompt.
  It attends to the prompt's keys and values, which are in the cache.
- It repeats itself less.
  What was read is the same, so the logits are the same.

A draft model is bad: it proposes nonsense. What happens to the text of speculative decoding?
- It gets worse, as a few of the bad drafts are accepted.
  They are accepted exactly as often as the model itself would have chosen them.
+ Its distribution stays the model's. Only the time is wasted.
  Rejected drafts are replaced by tokens that make up for it: min(p, q) + max(0, p - q) = p.
- Nothing is generated, because all drafts are rejected.
  Each pass gives at least one token: the one that replaces the first rejected draft.

Why is decoding one token at a time slow on a GPU?
- It takes more operations per token than reading the prompt.
  It takes the same number per token, about two for each parameter.
+ For each token all weights are read from memory, and each is used only once or twice.
  Computing units wait for memory. Many tokens per pass (a prompt, a batch, drafts) share what was read.
- The softmax over the vocabulary takes most of the time.
  It is small beside the matrices, and needs no more time than it does in a prompt.
""")
