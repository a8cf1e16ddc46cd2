"""What a check and a quiz show can be read in JupyterLab's light and dark themes, and on a projector."""

import re

import pytest

from gemini_workshop.exercises.core.catalogue import quiz_of
from gemini_workshop.exercises.core.verdict import Outcome, Verdict

SMALLEST = 4.5  # WCAG 2.2, level AA, for text of any size
LINES = ("Query 1 gives `key 0` too much.", "0.1  0.2")
SHOWN = {
    **{
        outcome: Verdict(exercise_id="02.1", title="softmax", outcome=outcome, lines=LINES, printed="x")
        for outcome in Outcome
    },
    "quiz": quiz_of("02"),
}


def luminance(colour):
    """Relative luminance of #rrggbb, from 0 for black to 1 for white."""
    channels = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a, b):
    darker, lighter = sorted((luminance(a), luminance(b)))
    return (lighter + 0.05) / (darker + 0.05)


def unreadable(html):
    """Styles that give text a colour without its own background, or with one that is too near.

    Text without a colour has the theme's, which is made for the theme's background.
    """
    found = []
    for style in re.findall(r'style="([^"]*)"', html):
        given = dict(part.split(":", 1) for part in style.split(";") if ":" in part)
        text, ground = given.get("color"), given.get("background")
        if (text is None) != (ground is None) or (text and contrast(text, ground) < SMALLEST):
            found.append(style)
    return found


@pytest.mark.parametrize(("a", "b", "ratio"), [("#000000", "#ffffff", 21), ("#777777", "#ffffff", 4.48)])
def test_contrast_is_that_of_the_standard(a, b, ratio):
    assert contrast(a, b) == contrast(b, a) == pytest.approx(ratio, abs=0.005)


@pytest.mark.parametrize("name", SHOWN)
def test_every_text_can_be_read_in_both_themes(name):
    html = SHOWN[name]._repr_mimebundle_()["text/html"]
    assert "color:#ffffff" in html
    assert unreadable(html) == []


@pytest.mark.parametrize("style", ["color:#1b7f4b", "background:#7f7f7f;color:#ffffff", "background:#ffffff"])
def test_a_colour_for_one_theme_alone_is_found(style):
    assert unreadable(f'<b style="{style}">x</b>') == [style]
