"""The decoder, in the order in which the course builds it.

    normalization      keep the stream at a steady size
    initialization     how weights start
    embeddings         tokens and positions; rotary_scaling: for texts longer than those trained on
    masks              which query may attend to which key
    attention          the formula and a layer's rule, written out
    multi_head_attention   several side by side, for self- and cross-attention
    sliding_window     attention for the price of the window
    flash_attention    exact attention that never holds the scores; block_sparse: scores for some blocks only
    attention_layers, latent_attention, key_value_store    the weights, and where keys and values are kept
    feedforward        what each token does by itself
    routing, experts, moe    a mixture of experts
    transformer_block, transformer   the whole; accounting: what it costs
    plain_transformer  the whole once more without choices: what lesson 06 builds
    families           published models: configurations, and the names in their files

And recurrent: the cells that came before, taught in lesson 01.

Each file uses only the ones before it. Functions compute, modules own weights and call the functions. Each idea is
here once, plainly; :mod:`gemini_workshop.kernels` computes the same faster.

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
F      hidden width of the feed-forward, or of one expert     ffn_dim
FF     rows of gate and up together, 2F
E      experts                                                num_experts
A      experts that a token is sent to                        experts_per_token
N      tokens of all sequences in one row
P      width of the embedding of each layer                   per_layer_embed_dim
R      width of a recurrent state; rank of a latent
V      vocabulary                                             vocab_size
=====  =====================================================  ====================
"""
