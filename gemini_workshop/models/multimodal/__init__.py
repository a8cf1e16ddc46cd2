"""Images, audio and video in the token stream of the decoder.

    patches     images cut into patches, recordings into frames: what one token of a medium is
    embedders   patches and frames projected straight into the stream (Gemma 4 12B)
    tower       an encoder of its own before the projection (SigLIP in Gemma 3)
    stream      media vectors in the places that the text holds for them
    fusion      late fusion: the text looks at the media from outside (Flamingo)
    contrastive images and captions pulled together, without a decoder (SigLIP)

The mask is :func:`~gemini_workshop.models.masks.multimodal_mask`.
"""
