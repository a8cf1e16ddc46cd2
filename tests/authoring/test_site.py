"""The site without its build, which takes minutes: what is on it, where its links lead, what it would load."""

import ast
import json
import re
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest
import yaml

from gemini_workshop.authoring.site import formulas, outputs
from gemini_workshop.authoring.site.checking import problems
from gemini_workshop.authoring.site.gallery import PARTS, Figure, figures_of
from gemini_workshop.authoring.site.links import DeadLink, rewritten
from gemini_workshop.authoring.site.pages import CAPTIONS, GUIDES, api_page, written_pages
from gemini_workshop.authoring.site.staging import Stage
from tests.clone import TOP
from tests.notebooks.lessons import LESSONS


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    """The folder that Sphinx would read."""
    if not (TOP / ".git").exists():
        pytest.skip("not a clone")
    folder = tmp_path_factory.mktemp("site")
    (folder / "guides").mkdir()
    (folder / "guides" / "of_yesterday.md").write_text("# Gone\n", "utf-8")
    Stage(TOP, folder).fill()
    return folder


def configuration():
    """What conf.py sets, read and not run: it imports the whole package."""
    lines = ast.parse((TOP / "docs" / "site" / "conf.py").read_text("utf-8")).body
    return {
        target.id: ast.literal_eval(line.value)
        for line in lines
        if isinstance(line, ast.Assign) and not isinstance(line.value, ast.Name)
        for target in line.targets
        if isinstance(target, ast.Name)
    }


# --- What is on the site ---


def test_every_page_of_the_docs_is_in_the_sidebar_once():
    listed = [entry for entries in CAPTIONS.values() for entry in entries]
    assert len(set(listed)) == len(listed)
    for path in (TOP / "docs").glob("*.md"):
        assert written_pages()[f"docs/{path.name}"] in listed, f"{path.name}: add it to GUIDES"
    assert all((TOP / path).is_file() for path in written_pages())


def test_the_sidebar_lists_pages_that_are_there(staged):
    listed = re.findall(r"^/(\S+)$", (staged / "index.md").read_text("utf-8"), re.MULTILINE)
    assert len(listed) == sum(map(len, CAPTIONS.values())) > sum(map(len, GUIDES.values()))
    assert [page for page in listed if not list(staged.glob(f"{page}.*"))] == []


def test_every_lesson_is_listed_with_its_outputs_and_its_downloads(staged):
    table = (staged / "lessons" / "index.md").read_text("utf-8")
    for lesson in LESSONS:
        page = f"lessons/{lesson.path.stem}.ipynb"
        assert f"(/{page})" in table
        stored = json.loads((TOP / "notebooks" / lesson.files["solution"]).read_text("utf-8"))
        shown = json.loads((staged / page).read_text("utf-8"))
        assert [cell.get("outputs") for cell in shown["cells"]] == [cell.get("outputs") for cell in stored["cells"]]
        for file in lesson.files.values():
            assert f"(path:/files/notebooks/{file})" in "".join(shown["cells"][0]["source"])
            assert (staged / "files" / "notebooks" / file).read_bytes() == (TOP / "notebooks" / file).read_bytes()


def test_the_gallery_has_every_figure_of_every_lesson(staged):
    import nbformat

    pages = "".join((staged / "gallery" / f"{part}.md").read_text("utf-8") for part in PARTS)
    figures = [
        figure
        for lesson in LESSONS
        if lesson.header.part
        for figure in figures_of(nbformat.read(TOP / "notebooks" / lesson.files["solution"], as_version=4))
    ]
    assert pages.count("<figure>") == len(figures) > 100
    assert all(figure.digest in pages and figure.alt and figure.title for figure in figures)


@pytest.mark.parametrize(
    ("alt", "title"),
    [
        ("Online: exact after the last tile: error over keys seen. Two lines.", "Online: exact after the last tile"),
        ("Every query meets every key. Matrices to scale.", "Every query meets every key"),
    ],
)
def test_a_caption_is_the_title_of_the_figure(alt, title):
    assert Figure("", alt, 1, 1).title == title


def test_every_module_but_answers_and_tools_is_in_the_reference(staged):
    assert (staged / "api/gemini_workshop/models/attention/index.rst").is_file()
    assert "errors`: " in (staged / "api/gemini_workshop/index.rst").read_text("utf-8")
    for place in ("exercises/lesson_02/softmax.py", "authoring/build.py", "cli/main.py"):
        assert api_page(Path("gemini_workshop") / place) is None
    names = {path.parent.relative_to(staged / "api").as_posix() for path in staged.glob("api/**/index.rst")}
    assert len(names) > 250
    assert not [name for name in names if not (TOP / name).is_dir() and not (TOP / f"{name}.py").is_file()]


def test_links_between_staged_pages_lead_to_files(staged):
    for page in staged.rglob("*.md"):
        for target in re.findall(r"\]\((?:path:)?/([^)#\s]+)", page.read_text("utf-8")):
            assert (staged / target).is_file(), f"{page.name}: {target}"


def test_what_is_no_longer_on_the_site_is_removed(staged):
    assert not (staged / "guides" / "of_yesterday.md").exists()


# --- Links ---


def test_links_in_prose_become_those_of_the_site():
    copied = []

    def convert(text, page="docs/training.md"):
        return rewritten(text, page, TOP, copied.append)

    assert convert("[a](scaling.md#start)") == "[a](/guides/scaling.md#start)"
    assert convert("[a](../README.md), [b](#here)") == "[a](/index.md), [b](#here)"
    assert convert("[a](https://example.org/x.md)") == "[a](https://example.org/x.md)"
    assert (
        convert("[a](../gemini_workshop/models/attention.py)") == "[a](/api/gemini_workshop/models/attention/index.rst)"
    )
    assert (
        convert("[a](../notebooks/sources/02_attention_mechanism.py)") == "[a](/lessons/02_attention_mechanism.ipynb)"
    )
    assert convert("![a](docs/images/loss.png)", "README.md") == "![a](/files/docs/images/loss.png)"
    assert convert("[a](../Makefile)") == "[a](path:/files/Makefile)"
    assert copied == ["docs/images/loss.png", "Makefile"]


def test_links_in_code_stay():
    text = "`[a](nowhere.md)` and\n```\n[b](nowhere.md)\n```\n"
    assert rewritten(text, "docs/training.md", TOP, print) == text


@pytest.mark.parametrize("target", ["nowhere.md", "../../outside.md", "images"])
def test_a_link_that_leads_nowhere_stops_the_build(target):
    with pytest.raises(DeadLink, match=re.escape(target)):
        rewritten(f"[a]({target})", "docs/training.md", TOP, print)


# --- The built site is checked ---

SOUND = {
    "index.html": '<link rel="stylesheet" href="a.css"><link rel="index" href="#"><a href="b/c.html#part">c</a>',
    "b/c.html": '<h1 id="part">c</h1><a href="../index.html">home</a><a href="https://example.org">there</a>',
    "a.css": "p { background: url(data:image/png;base64,AAAA) }",
}
FAULTS = {
    "a page that is missing": ("index.html", '<a href="d.html">d</a>', "d.html leads nowhere"),
    "a part that is missing": ("index.html", '<a href="b/c.html#other">c</a>', "has no 'other'"),
    "a part of the page itself": ("b/c.html", '<a href="#other">c</a>', "has no 'other'"),
    "a script from elsewhere": ("index.html", '<script src="https://cdn.example.org/x.js"></script>', "from elsewhere"),
    "a picture from elsewhere": ("index.html", '<img src="//example.org/x.png">', "from elsewhere"),
    "a style from elsewhere": (
        "index.html",
        '<link rel="stylesheet" href="http://example.org/x.css">',
        "from elsewhere",
    ),
    "a picture that is missing": ("index.html", '<img src="x.png">', "x.png, which is not there"),
    "a font from elsewhere": ("a.css", "@font-face { src: url('https://example.org/x.woff2') }", "from elsewhere"),
    "an imported style": ("a.css", "@import 'https://example.org/x.css';", "from elsewhere"),
}


def write_site(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, "utf-8")
    return folder


def test_a_sound_site_has_no_problems(tmp_path):
    assert problems(write_site(tmp_path, SOUND)) == []


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_built_site_is_found(tmp_path, fault):
    name, text, said = FAULTS[fault]
    (problem,) = problems(write_site(tmp_path, SOUND | {name: SOUND[name] + text}))
    assert problem.startswith(f"{name}: ")
    assert said in problem


# --- How it is built ---


def test_the_configuration_builds_offline_and_runs_nothing():
    settings = configuration()
    assert settings["nb_execution_mode"] == "off"
    assert settings["nb_ipywidgets_js"] == {}
    assert settings["html_math_renderer"] == "mathml"
    assert settings["html_theme"] == "furo"
    assert {"myst_nb", "sphinx_copybutton"} <= set(settings["extensions"])
    assert [name for name in [*settings["extensions"], settings["html_theme"]] if find_spec(name) is None] == []
    for style in settings["html_css_files"]:
        assert (TOP / "docs" / "site" / settings["html_static_path"][0] / style).is_file()


def test_formulas_need_no_script():
    mathml = formulas.to_mathml(r"\frac{Q K^\top}{\sqrt{d}} + \text{a\_b}", block=True)
    assert mathml.startswith('<math display="block">')
    assert "<mfrac>" in mathml
    assert "<msqrt>" in mathml
    assert "a_b</mtext>" in mathml
    assert formulas.FONT.is_file()


def test_a_docstring_keeps_its_layout():
    lines = [
        "Two things.",
        "",
        "    a   b",
        "",
        "Ends with <|end|>. An example:",
        "    >>> 1",
        "    1",
        "",
        "Args:",
        "    x: one.",
    ]
    outputs.keep_layout(None, "", "", None, None, lines)
    assert lines[2:5] == ["::", "", "    a   b"]
    assert "Ends with <\\|end|>. An example:" in lines
    assert lines[lines.index("    >>> 1") - 1] == ""
    assert lines[-2:] == ["Args:", "    x: one."]


def test_make_docs_and_the_workflow_build_the_site_and_only_main_publishes_it():
    recipe = re.search(r"^docs:.*\n((?:\t.*\n)+)", (TOP / "Makefile").read_text("utf-8"), re.MULTILINE)[1]
    assert "gemini_workshop.authoring.site" in recipe
    workflow = yaml.safe_load((TOP / ".github" / "workflows" / "docs.yml").read_text("utf-8"))
    build, deploy = workflow["jobs"]["build"], workflow["jobs"]["deploy"]
    steps = [step.get("run") for step in build["steps"]]
    assert steps.index('pip install -e ".[docs]"') < steps.index("make docs")
    (upload,) = [step for step in build["steps"] if step.get("uses", "").startswith("actions/upload-pages-artifact")]
    assert upload["with"]["path"] == "build/site/html"
    assert deploy["needs"] == "build"
    assert "refs/heads/main" in deploy["if"]
    assert "docs" in tomllib.loads((TOP / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    assert "build/" in (TOP / ".gitignore").read_text("utf-8").splitlines()
