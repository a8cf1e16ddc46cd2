"""A trained model as other programs read it.

huggingface     a folder for transformers, vLLM and whatever reads the same files
card            its README.md: what the model is, how to use it, under which licences
gguf            one file for llama.cpp, Ollama and LM Studio
"""
