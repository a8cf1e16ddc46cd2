"""Pages of HTML that need nothing else: one for each learner, and one for the instructor."""

import html
import re
from collections.abc import Iterable

from gemini_workshop.exercises.core.exercise import Exercise
from gemini_workshop.exercises.core.verdict import COLOURS, SYMBOLS, Outcome, badge, with_code
from gemini_workshop.grading.gradebook import Gradebook, Row
from gemini_workshop.grading.grader import Grade
from gemini_workshop.grading.report.tables import NOT_HANDED_IN
from gemini_workshop.visualization.theme import BLACK, BLUE, HIDDEN

STYLE = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; color: {BLACK}; max-width: 60em; margin: 2em auto; padding: 0 1em; }}
h1 {{ font-size: 1.5em; }} h2 {{ font-size: 1.2em; margin-top: 1.8em; }}
section {{ border-left: 4px solid {HIDDEN}; padding: .2em 1em; margin: 1em 0; }}
p {{ margin: .3em 0; }} p.line {{ white-space: pre-wrap; }}
pre {{ background: #f5f5f5; padding: .6em; overflow-x: auto; font-size: .85em; line-height: 1.4; }}
pre mark {{ background: #ffe08a; }} pre .number {{ color: #6b6b6b; user-select: none; }}
code {{ background: #f0f0f0; padding: 0 .2em; }}
table {{ border-collapse: collapse; }}
th, td {{ text-align: left; padding: .25em .8em; border-bottom: 1px solid {HIDDEN}; vertical-align: top; }}
td.count, th.count {{ text-align: right; }}
a {{ color: {BLUE}; }} img {{ max-width: 100%; }} summary {{ cursor: pointer; }}
"""
LINE = re.compile(r"^Line (\d+)[: ]", re.MULTILINE)
HINT_BY_OUTCOME = {Outcome.NOT_STARTED: 0, Outcome.NOT_YOURS: 0, Outcome.ERROR: 1, Outcome.WRONG: 1}


def learner_page(row: Row, book: Gradebook) -> str:
    """What a learner reads: points, and for each exercise the verdict, their own code and a hint."""
    graded = [row.grades[each.id] for each in book.exercises if each.id in row.grades]
    missing = [each for each in book.lessons if not any(grade.exercise.lesson == each for grade in graded)]
    parts = [f"<h1>{html.escape(row.learner)}: {row.points} of {len(book.exercises)} exercises passed</h1>"]
    parts += [f"<p>{html.escape(note)}</p>" for note in row.notes if "the same to the letter" not in note]
    for lesson in book.lessons:
        parts.append(f"<h2>Lesson {lesson}</h2>")
        parts += [f"<p>{NOT_HANDED_IN.capitalize()}.</p>"] if lesson in missing else []
        parts += [_exercise(grade) for grade in graded if grade.exercise.lesson == lesson]
    return _page(f"{row.learner}: feedback", parts)


def _exercise(grade: Grade) -> str:
    exercise, color = grade.exercise, COLOURS[grade.outcome]
    heading = f"{SYMBOLS[grade.outcome]} {exercise.id} {exercise.title} · {grade.outcome}"
    parts = [f"<p>{badge(heading, color)}</p>"]
    if grade.mistake:
        parts.append(f"<p>The mistake has a name: <strong>{html.escape(grade.mistake)}</strong>.</p>")
    parts += [f'<p class="line">{with_code(line)}</p>' for line in grade.lines if not line.startswith("hint(")]
    if grade.outcome in HINT_BY_OUTCOME:
        parts.append(_code(grade))
        hint = with_code(exercise.hints[HINT_BY_OUTCOME[grade.outcome]])
        parts.append(f"<details><summary>A hint</summary><p>{hint}</p></details>")
    return f'<section style="border-color:{color}">{"".join(parts)}</section>'


def _code(grade: Grade) -> str:
    """The learner's definition with the line that the verdict speaks of marked."""
    if not grade.code or grade.outcome == Outcome.NOT_STARTED:
        return ""
    spoken = {int(number) for line in grade.lines for number in LINE.findall(line)}
    lines = []
    for number, line in enumerate(grade.code.splitlines()[:200], grade.first_line):
        text = f'<span class="number">{number:>3}</span> {html.escape(line)}'
        lines.append(f"<mark>{text}</mark>" if number in spoken else text)
    return f"<p>You wrote:</p><pre>{chr(10).join(lines)}</pre>"


def instructor_page(book: Gradebook, pages: dict[str, str], heat_map: str) -> str:
    """What an instructor reads: the room's mistakes by count, each learner, and what looks odd.

    Args:
        pages: the address of each learner's page.
        heat_map: the address of the picture.
    """
    passed = sum(row.points for row in book.rows)
    possible = len(book.rows) * len(book.exercises)
    title = f"{_count(len(book.rows), 'learner')}, {passed} of {possible} exercises passed"
    parts = [f"<h1>{title}</h1>"]
    if not book.is_isolated:
        parts.append("<p><strong>The answers were not isolated: they could reach this machine's files.</strong></p>")
    parts += ["<h2>What the room gets wrong</h2>", _mistakes(book)]
    parts += [
        "<h2>Exercise by exercise</h2>",
        f'<img src="{heat_map}" alt="{html.escape(_alt(book))}">',
        _by_exercise(book),
    ]
    parts += ["<h2>Learner by learner</h2>", _learners(book, pages), "<h2>To look at</h2>", _odd(book)]
    parts.append(
        f"<p>Fresh cases were drawn with seed {book.seed}: <code>--seed {book.seed}</code> grades again in the same "
        "way. Each exercise that passes is a point.</p>"
    )
    return _page("Grades of the room", parts)


def _mistakes(book: Gradebook) -> str:
    rows = [
        (str(len(rows)), f"{each.id} {each.title}", name, _says(each, name), ", ".join(row.learner for row in rows))
        for each, name, rows in book.mistakes()
    ]
    return _table(("learners", "exercise", "mistake", "what to say", "who"), rows) if rows else "<p>Nothing known.</p>"


def _says(exercise: Exercise, name: str) -> str:
    for known in (exercise, *exercise.parts):
        if name in known.misconceptions:
            return known.misconceptions[name].says
    return ""


def _by_exercise(book: Gradebook) -> str:
    head = ("exercise", *map(str, Outcome), NOT_HANDED_IN)
    rows = []
    for each in book.exercises:
        found = book.outcomes_of(each)
        counts = [found[outcome] for outcome in Outcome]
        missing = len(book.rows) - sum(counts)
        rows.append((f"{each.id} {each.title}", *(str(count or "") for count in (*counts, missing))))
    return _table(head, rows)


def _learners(book: Gradebook, pages: dict[str, str]) -> str:
    lines = []
    for row in book.rows:
        link = f'<a href="{html.escape(pages[row.learner])}">{html.escape(row.learner)}</a>'
        look = len(row.signs) + len(row.notes)
        lines.append(f'<tr><td>{link}</td><td class="count">{row.points}</td><td class="count">{look or ""}</td></tr>')
    head = '<tr><th>learner</th><th class="count">points</th><th class="count">to look at</th></tr>'
    return f"<table>{head}{''.join(lines)}</table>"


def _odd(book: Gradebook) -> str:
    rows = [(row.learner, str(each)) for row in book.rows for each in (*row.notes, *row.signs)]
    rows += [("", f"ignored: {each}") for each in book.ignored]
    return _table(("learner", "what"), rows) if rows else "<p>Nothing.</p>"


def _alt(book: Gradebook) -> str:
    return f"A row for each of {len(book.exercises)} exercises, a column for each of {len(book.rows)} learners."


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    titles = "".join(f"<th>{html.escape(each)}</th>" for each in head)
    body = "".join("<tr>" + "".join(f"<td>{with_code(each)}</td>" for each in row) + "</tr>" for row in rows)
    return f"<table><tr>{titles}</tr>{body}</table>"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" + "s" * (number != 1)


def _page(title: str, parts: list[str]) -> str:
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{html.escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style>{chr(10).join(parts)}</html>\n'
    )
