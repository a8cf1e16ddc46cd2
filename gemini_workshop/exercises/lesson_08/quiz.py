"""Lesson 08, mixture of experts: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
A layer has 64 experts, and each token goes to 2 of them. Compared with a dense layer as wide as two experts, what grew?
- Parameters and work per token, both 32 times.
  The router chooses *before* the experts compute. A token passes through two of them, whatever their number.
+ The parameters, 32 times. The work per token hardly.
  The router's own product is all that is added. That is the bargain: much to remember, little to compute.
- The work per token; the parameters are shared.
  Each expert has weights of its own. Nothing is shared but the router, unless there are shared experts.

Why does a router without a balance loss tend to collapse?
- Because the softmax of its scores always ends at one expert.
  A softmax can stay even forever. It is the training that tilts it.
+ An expert that is chosen gets the gradients, becomes better, and is chosen more often.
  The rich get richer. The others never get a chance to improve.
- Because the expert with the largest weights wins.
  The router scores by its own weights. How large an expert's weights are does not matter for the choice.

The load is a count and has no gradient. How can the balance loss move anything?
- PyTorch takes the derivative of `topk` with respect to the scores.
  `topk` returns indices, and an index has no derivative.
- It cannot; the bias of loss-free balancing does the work.
  That is another method. The balance loss works without a bias.
+ Through the mean probability, by which each load is multiplied.
  The gradient with respect to an expert's mean probability is E times its load: busy experts are pushed down most.

An expert is full, and a token's choice is dropped. What happens to the token?
+ That choice adds nothing. The residual stream carries the token on.
  It loses some computation, and keeps all it had before.
- It is removed from the text.
  Later layers and later tokens still see it. Only this layer adds less to it.
- It goes to its third choice.
  Some systems do that. Here, as in the Switch Transformer, it goes without.

You find an expert that gets 90 % of the commas. What do you know?
- The expert is about punctuation.
  It may get many other tokens, too, and the commas may be a small part of them. Look at both directions.
+ The router sends commas there more often than a random choice would, if commas are frequent enough to tell.
  What that expert *does* with them is another question, and can be measured by taking it away.
- Without this expert the model could not write commas.
  Its other experts and layers may do as well. Silence it and look at the loss.
""")
