"""What models/ defines, computed faster.

The rule: models define, kernels compute faster, a test compares the two, and ``accelerate(model)`` is the only switch.

    accelerate            swaps the parts of a model for the faster ones below, and reports what it left alone
    backends              causal attention: chooses among the functions below by device, lengths and need of gradients
    fused_attention       PyTorch's own kernels
    chunked_attention     products of chunks, for gradients on a CPU
    windowed_attention    through a sliding window, chunk by chunk
    flex_attention        PyTorch's compiled attention, for GPUs
    linear                products with faster gradients on a CPU; projections that read the same input as one product
    experts, gates        the tokens of each expert as one block, and the derivatives written out
    onednn                the library that multiplies float32 matrices

Every function here has the signature and the result of one in models/. A model works without any of them.
"""
