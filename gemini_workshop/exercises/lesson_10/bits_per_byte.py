"""Exercise 10.8, ``bits_per_byte``: its cases, and what learners get wrong."""

import math

from gemini_workshop.evaluation.floors import bits_per_byte
from gemini_workshop.exercises.core.comparison import number
from gemini_workshop.exercises.core.exercise import Arguments, Exercise, Function, Say


def _oracle(loss_nats: float, num_tokens: int, num_bytes: int) -> float:
    """The probability of the whole text, as a power of two, for each byte."""
    total_nats = loss_nats * num_tokens
    return total_nats / num_bytes * math.log2(math.e)


def _explain(function: Function, case: Arguments) -> str | None:
    loss_nats, num_tokens, num_bytes = case
    got, expected = function(*case), _oracle(*case)
    given = f"{number(loss_nats)} nats per token, {num_tokens} tokens, {num_bytes} bytes"
    return f"{given} gave {number(got)}; {number(expected)} is needed."


BITS_PER_BYTE = Exercise(
    id="10.8",
    minutes=4,
    difficulty=1,
    importance=4,
    reference=bits_per_byte,
    oracle=_oracle,
    cases=lambda generator: [(math.log(2), 10, 40), (2.0, 100, 420), (1.1, 900, 900), (5.5, 7, 30)],
    explain=_explain,
    misconceptions={
        "nats": Say("These are nats per byte. A bit is ln 2 nats, about 0.69, so there are more bits than nats.").to(
            lambda loss, tokens, num_bytes: loss * tokens / num_bytes
        ),
        "multiplied by ln 2": Say(
            "ln 2 is multiplied where it should divide: a nat is more than a bit, so the number of bits is larger."
        ).to(lambda loss, tokens, num_bytes: loss * math.log(2) * tokens / num_bytes),
        "bits per token": Say("These are bits per token. Tokenizers differ in what a token is; a byte is a byte.").to(
            lambda loss, tokens, num_bytes: loss / math.log(2)
        ),
        "tokens and bytes exchanged": Say(
            "Tokens and bytes are exchanged. The loss of all tokens together is spread over the bytes."
        ).to(lambda loss, tokens, num_bytes: loss / math.log(2) * num_bytes / tokens),
        "one token for the whole text": Say(
            "The loss is a mean per token. Multiply it by the number of tokens for the whole text before you divide."
        ).to(lambda loss, tokens, num_bytes: loss / math.log(2) / num_bytes),
        "the whole text": Say("These are the bits of the whole text. Divide by its bytes.").to(
            lambda loss, tokens, num_bytes: loss / math.log(2) * tokens
        ),
        "per bit": Say(
            "It is divided by the bits of the text, eight for each byte. How many bits the text had in its file does "
            "not matter."
        ).to(lambda loss, tokens, num_bytes: loss / math.log(2) * tokens / num_bytes / 8),
        "base ten": Say("The logarithm is that of 10. A bit is a factor of two.").to(
            lambda loss, tokens, num_bytes: loss / math.log(10) * tokens / num_bytes
        ),
        "perplexity": Say("A perplexity is spread over the bytes. Bits add up; perplexities do not.").to(
            lambda loss, tokens, num_bytes: math.exp(loss) * tokens / num_bytes
        ),
        "one token less": Say(
            "The first token is left out of the count. Here `num_tokens` is the number of tokens that were predicted."
        ).to(lambda loss, tokens, num_bytes: loss / math.log(2) * (tokens - 1) / num_bytes),
    },
    hints=(
        "How many nats does the whole text cost? How many bits are that? How many per byte?",
        "The loss is a mean over tokens, so the whole text costs loss times tokens. A bit is ln 2 nats.",
        "`loss_nats / math.log(2)` are the bits of one token.",
    ),
)
