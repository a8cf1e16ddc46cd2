"""The parts behind :mod:`gemini_workshop.data.tokenizer`, each readable by itself.

In the order of the idea: bpe (the taught form), splitting, counting, training, merging (the fast forms), byte_pairs,
characters, sentencepieces, pretrained, normalization; checks is what they share.
"""
