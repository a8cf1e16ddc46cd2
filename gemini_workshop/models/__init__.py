"""The decoder, in the order in which the course builds it.

``normalization``, ``embeddings``, ``masks``, ``attention``, ``feedforward``, ``transformer_block``,
``transformer``: each file uses only the ones before it. Functions compute, modules own weights and call the
functions.

One letter means one axis in every signature of the project:

=====  =====================================================  ====================
axis   means                                                  config field
=====  =====================================================  ====================
B      sequences in the batch (``*B``: any leading axes)
T      tokens in this call, the ones that ask (queries)       up to context_tokens
S      tokens that can be looked at (keys): cache plus T
D      width of the residual stream                           embed_dim
H      query heads                                            num_heads
K      key/value heads                                        num_kv_heads
G      query heads that share one key/value head, H / K
C      channels of one head                                   head_dim
pairs  pairs of channels that rotary positions turn, C / 2
F      hidden width of the feed-forward                       ffn_dim
V      vocabulary                                             vocab_size
=====  =====================================================  ====================
"""
