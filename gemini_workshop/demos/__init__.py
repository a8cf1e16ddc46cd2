"""A page on which one talks to models and looks inside them: what ``gemini-workshop demo`` shows.

settings      limits, and who may come in
shelf         the models, each loaded when it is first asked for
chatting      a reply as it is written, with its speed and its cache
attention     the maps of all heads, and what the loss is without some
lens          what each block would predict
experts       which experts each token is sent to
sampling      the distribution before and after each filter
vocabularies  one text, cut by several tokenizers
limits        what is too long or comes too often
machine       memory, processor and speed, read now and again
gate          which addresses are answered, and which files
server        where it listens
page          the Gradio app: one file for each tab, and HTML without anything from elsewhere

All but the last three are plain functions. Nothing here imports PyTorch before a model is asked for, so that the page
is there in seconds.
"""
