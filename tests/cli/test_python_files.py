import json

from typer.testing import CliRunner

from gemini_workshop.cli.data import app


def code(*arguments: object) -> str:
    result = CliRunner().invoke(app, ["code", *map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


FUNCTION = 'def f{n}(x):\n    """Number {n}."""\n    y = x + {n}\n    return y\n'


def test_a_folder_becomes_documents_and_pairs(tmp_path):
    (tmp_path / "src").mkdir()
    for n in range(6):
        body = "".join(f"value_{n}_{i} = {n * i}\n" for i in range(30))
        (tmp_path / "src" / f"m{n}.py").write_text(FUNCTION.format(n=n) + body, "utf-8")
    (tmp_path / "src" / "broken.py").write_text("def", "utf-8")
    output = code("--root", tmp_path / "src", "--out", tmp_path)
    modules = [json.loads(line) for line in (tmp_path / "modules.jsonl").read_text("utf-8").splitlines()]
    pairs = [json.loads(line) for line in (tmp_path / "pairs.jsonl").read_text("utf-8").splitlines()]
    assert [module["name"] for module in modules] == [f"m{n}.py" for n in range(6)]
    assert pairs[2] == {
        "name": "m2.py:f2",
        "problem": 'def f2(x):\n    """Number 2."""\n',
        "solution": "    y = x + 2\n    return y\n",
    }
    assert "dropped: does not parse" in output


def test_help_shows_an_example():
    assert "gemini-workshop data code --root src" in code("--help")
