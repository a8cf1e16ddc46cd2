"""Training data by name: where each corpus comes from, what it may be used for, and how to get it.

``stories`` and a few more are part of the installation and need nothing. The others are read from the folder named by
``GEMINI_WORKSHOP_MIRROR``, if it has them, else from the folder of downloads, else they are fetched. Each file is
checked against its sum.
"""

from gemini_workshop.data.corpora.documents import load_documents, stream_documents
from gemini_workshop.data.corpora.places import (
    MIRROR_VARIABLE,
    corpus_files,
    download_folder,
    find_edition,
    find_here,
    samples_folder,
)
from gemini_workshop.data.corpora.records import load_records
from gemini_workshop.data.corpora.registry import Corpus, CorpusFile, Edition, HubRows, corpus_names, find_corpus
from gemini_workshop.data.corpora.vocabularies import VOCABULARY_FILES, load_vocabulary

__all__ = [
    "MIRROR_VARIABLE",
    "VOCABULARY_FILES",
    "Corpus",
    "CorpusFile",
    "Edition",
    "HubRows",
    "corpus_files",
    "corpus_names",
    "download_folder",
    "find_corpus",
    "find_edition",
    "find_here",
    "load_documents",
    "load_records",
    "load_vocabulary",
    "samples_folder",
    "stream_documents",
]
