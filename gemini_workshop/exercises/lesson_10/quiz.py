"""Lesson 10, tokenization: questions at its end."""

from gemini_workshop.exercises.core.quiz import quiz_from

QUIZ = quiz_from("""
What decides which pair is merged first when a new text is encoded?
- How often the pair occurs in the new text.
  Then the same word could have other ids in another text. Frequency counted once, in training.
+ Which pair was learned first in training.
  Encoding repeats the merges of training in their order, so that a word always has the same ids.
- The length of the token: the longest one that fits.
  WordPiece does that. Byte-pair encoding can end with shorter tokens than the longest that would fit.

Model A has a loss of 1.0 nats per token, model B one of 2.3. Which is better?
- A: its loss is lower.
  A may read single bytes and B words of four bytes. Then A needs four guesses where B needs one.
- B: a harder task with a higher loss is worth more.
  Harder by how much? Without the number of bytes per token nobody knows.
+ Neither number says so by itself. Divide the loss of the whole text by its bytes.
  Bits per byte do not depend on the tokenizer, as long as both read the same text.

A tokenizer on bytes has learned from English stories only. What happens to a Russian sentence?
- It becomes unknown tokens.
  There are none: the 256 bytes are in the vocabulary, so every text has an encoding.
+ It is encoded and decoded without loss, but costs about two tokens per letter.
  Each letter is two bytes of UTF-8, and no merge of the stories fits them.
- It costs about as many tokens as its English translation.
  That would need merges of Russian pairs, and they have to be frequent in the training text.

A user writes “<|endoftext|>” into a chat. What should a tokenizer do with it?
+ Encode it as ordinary characters, unless the program itself put it there.
  What a user types is text. Only the program decides where a document ends.
- Recognize it as the end of the text, which it is.
  Then every user could end the document that the program had begun, instructions included.
- Refuse it as an error.
  Somebody may want to talk about it, as this lesson does.

Why does a prompt often continue badly when it ends in a space?
- The model has never seen a space.
  It has, but nearly always as the first byte of the word after it.
+ The space is usually part of the next token, so that a space by itself is a rare beginning.
  The model has to continue with a word that begins without its space, which it hardly ever saw after a space.
- Spaces at the end are removed by the tokenizer.
  A byte-level tokenizer removes nothing.
""")
