"""A model behind an HTTP address, in OpenAI's protocol: what other programs talk to.

protocol    what a request may hold, checked field by field
prompts     a text or a conversation as the token ids that the model reads
texts       a request as rows for the batch, each with its own sampler and stop strings
engine      one thread that decodes all rows side by side (gemini_workshop.generation.batching)
answers     what was written as JSON, whole or in events
gate        what stands before all routes
visitors    who asks: how often, and from where
metrics     counters for Prometheus
body        the body of a request, within limits
app         the routes
listening   uvicorn: where a server listens, and how it ends
server      the model at an address
"""
