"""Every example in a docstring is run."""

import doctest
import importlib
import pkgutil

import torch

import gemini_workshop


def test_every_example_in_a_docstring_is_true():
    tried = 0
    for module in pkgutil.walk_packages(gemini_workshop.__path__, "gemini_workshop."):
        results = doctest.testmod(
            importlib.import_module(module.name), extraglobs={"torch": torch}, optionflags=doctest.NORMALIZE_WHITESPACE
        )
        assert results.failed == 0, module.name
        tried += results.attempted
    assert tried > 10


def test_a_wrong_example_would_be_found():
    wrong = doctest.DocTestParser().get_doctest(">>> 1 + 1\n3\n", {}, "wrong", None, None)
    assert doctest.DocTestRunner(verbose=False).run(wrong, out=lambda _: None).failed == 1
