"""Answers to lesson 02, right and wrong, as learners write them."""

ANNOTATED = """
def softmax(scores: Float[Tensor, "..."], dim: int = -1) -> Float[Tensor, "..."]:
    shifted = scores - scores.amax(dim=dim, keepdim=True)
    return shifted.exp() / shifted.exp().sum(dim=dim, keepdim=True)
"""

SOFTMAX = """
def softmax(scores, dim=-1):
    shifted = scores - scores.amax(dim=dim, keepdim=True)
    return shifted.exp() / shifted.exp().sum(dim=dim, keepdim=True)
"""
ATTENTION = """
def scaled_dot_product_attention(query, key, value, mask=None):
    scores = query @ key.transpose(-2, -1) / math.sqrt(query.shape[-1])
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return softmax(scores) @ value
"""
CAUSAL = """
def causal_mask(num_queries, num_keys, *, device=None):
    return torch.ones(num_queries, num_keys, dtype=torch.bool, device=device).tril(num_keys - num_queries)
"""
ADDITIVE = """
def additive_mask(mask, dtype=torch.float32):
    zeros = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return zeros.masked_fill(~mask, float("-inf"))
"""
RIGHT = {
    "softmax": SOFTMAX,
    "scaled_dot_product_attention": ATTENTION,
    "causal_mask": CAUSAL,
    "additive_mask": ADDITIVE,
}
HEADS = {
    "softmax": "def softmax(scores, dim=-1):\n",
    "scaled_dot_product_attention": "def scaled_dot_product_attention(query, key, value, mask=None):\n",
    "causal_mask": "def causal_mask(num_queries, num_keys, *, device=None):\n",
    "additive_mask": "def additive_mask(mask, dtype=torch.float32):\n",
}


def does_first(title: str, statements: str) -> str:
    """A right answer that does something else before."""
    right = RIGHT[title].strip()
    head, body = right.split("\n", 1)
    inner = "\n".join(f"    {line}" for line in statements.strip().splitlines())
    return f"{head}\n{inner}\n{body}\n"


NO_EXP = SOFTMAX.replace("shifted.exp() / shifted.exp()", "scores / scores")
OVERFLOWS = SOFTMAX.replace("scores - scores.amax(dim=dim, keepdim=True)", "scores")
NOT_SCALED = ATTENTION.replace(" / math.sqrt(query.shape[-1])", "")
UPSIDE_DOWN = ATTENTION.replace("~mask", "mask")
SEES_NEXT = CAUSAL.replace("num_keys - num_queries)", "num_keys - num_queries + 1)")
HIDDEN = CAUSAL.replace("return torch", "return ~torch")
ONES = ADDITIVE.replace('float("-inf")', "1.0")
ZERO_TIMES = """
def additive_mask(mask, dtype=torch.float32):
    return (~mask).to(dtype) * float("-inf")
"""
CRASHES = ATTENTION.replace("key.transpose(-2, -1)", "key")
DETACHED = SOFTMAX.replace("scores - scores", "scores.detach() - scores")
NOTHING = SOFTMAX.replace("return shifted", "shifted")
