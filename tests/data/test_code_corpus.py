import ast
import textwrap
from itertools import islice

import pytest

from gemini_workshop.data.code_corpus import (
    Module,
    code_modules,
    code_pairs,
    parse,
    read_source,
)
from gemini_workshop.data.corpora.python_library import python_files, standard_library
from gemini_workshop.data.preprocessing.report import Report
from gemini_workshop.errors import DataError

MODULE = textwrap.dedent(
    '''
    """A module."""
    import functools

    def add(a, b):
        """The sum."""
        total = a + b  # of two
        return total

    class Counter:
        """Counts."""

        @functools.cache
        @staticmethod
        def count(
            texts: list[str],
        ) -> int:
            """How many.

              Indented more.
            """

            result = 0
            for text in texts:
                result += 1
            return result

        if True:
            async def late(self):
                "One line."
                x = """
                    inner
                """
                return x

    def silent(a):
        b = a
        return b

    def empty():
        """Nothing to see."""

    def stub():
        """Not there yet."""
        raise NotImplementedError

    def short():
        """One line of body."""
        return 1

    def outer():
        """With a function inside."""
        def inner():
            """Part of the solution."""
            x = 1
            return x
        return inner
    '''
)


def pairs_of(source: str, **options):
    return {pair.name: pair for pair in code_pairs([Module("m.py", source)], **options)}


def test_functions_with_docstring_and_body_become_pairs_named_by_their_place():
    assert list(pairs_of(MODULE)) == ["m.py:add", "m.py:Counter.count", "m.py:Counter.late", "m.py:outer"]
    assert "m.py:short" in pairs_of(MODULE, min_body_lines=1)


def test_a_pair_is_parted_behind_the_docstring():
    pair = pairs_of(MODULE)["m.py:add"]
    assert pair.problem == 'def add(a, b):\n    """The sum."""\n'
    assert pair.solution == "    total = a + b  # of two\n    return total\n"


def test_problem_and_solution_together_are_the_function_and_the_problem_parses_alone():
    functions = {
        node.name: node
        for node in ast.walk(ast.parse(MODULE))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    for name, pair in pairs_of(MODULE).items():
        assert parse(pair.problem)
        (joined,) = parse(pair.problem + pair.solution).body
        original = functions[name.rpartition(":")[2].rpartition(".")[2]]
        assert [ast.dump(node) for node in joined.args.args] == [ast.dump(node) for node in original.args.args]
        assert len(joined.body) == len(original.body)
        assert ast.get_docstring(joined) == ast.get_docstring(original)


def test_the_decorators_belong_to_the_problem():
    assert pairs_of(MODULE)["m.py:Counter.count"].problem.startswith("@functools.cache\n@staticmethod\ndef count(\n")


def test_the_same_function_twice_is_one_pair():
    source = MODULE[MODULE.index("def add") :].split("\n\n")[0]
    assert len(list(code_pairs([Module("a.py", source), Module("b.py", source + "\n")]))) == 1


def test_a_form_feed_is_no_line_end():
    source = 'x = 1\n\x0c\ndef f():\n    """D."""\n    a = 1\n    return a\n'
    assert pairs_of(source)["m.py:f"].solution == "    a = 1\n    return a\n"


@pytest.fixture
def folder(tmp_path):
    files = {
        "b.py": MODULE,
        "a.py": "x = 1\n",
        "sub/copy.py": MODULE,
        "sub/near.py": MODULE.replace("def silent", "def quiet"),
        "latin.py": "# -*- coding: latin-1 -*-\nname = 'é'\n".encode("latin-1"),
        "wrong.py": b"name = '\xe9'\n",
        "lie.py": b"# -*- coding: no-such-thing -*-\n",
        "old.py": "print 'hello'\n",
        "null.py": "x = 1\0\n",
        "deep.py": "x = " + "(" * 5000 + "1" + ")" * 5000 + "\n",
        "escape.py": "x = '\\d'\n",
        "empty.py": " \n",
        "tests/test_b.py": "y = 2\n",
        "site-packages/lib.py": "z = 3\n",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tmp_path


def test_modules_that_parse_are_kept_once_in_the_order_of_their_names(folder):
    report = Report()
    assert [module.name for module in code_modules(folder, report)] == ["a.py", "b.py", "escape.py", "latin.py"]
    assert report.dropped == {
        "does not parse": 3,
        "cannot be decoded": 2,
        "empty": 1,
        "exact duplicate": 1,
        "near-duplicate": 1,
    }
    assert report.num_kept + report.dropped.total() == report.num_read == 12


def test_a_file_is_read_in_the_encoding_that_it_declares(folder):
    assert read_source(folder / "latin.py") == ("# -*- coding: latin-1 -*-\nname = 'é'\n", "")


def test_a_folder_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="nowhere is not a folder"):
        python_files(tmp_path / "nowhere")


def test_the_standard_library_gives_modules_and_pairs():
    modules = list(islice(code_modules(standard_library(), Report()), 15))
    assert len(modules) == 15
    pairs = list(code_pairs(modules))
    assert len(pairs) > 100
    for pair in pairs:
        assert ast.get_docstring(parse(pair.problem).body[0])
        assert len(parse(pair.problem + pair.solution).body) == 1
