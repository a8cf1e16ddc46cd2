"""HTML of what the explorers show. Every text that comes from a model or a visitor is escaped here, and nowhere else.

Buttons carry ``data-pick``: page.js tells the server which one was pressed. What carries ``data-say`` is read out below
its figure when the pointer or the keyboard is on it.
"""

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

import numpy as np
from PIL import Image

HEAT = ((247, 251, 255), (107, 174, 214), (8, 48, 107))  # from a weight of 0 to 1
EVEN = 0.179  # the luminance on which black and white can be read equally well
TINTS = 5  # colors of tokens, in page.css


def visible(token: str) -> str:
    """A token as a label, escaped: spaces and line ends are drawn.

    Example:
        >>> visible(" a<b"), visible("")
        ('␣a&lt;b', '∅')
    """
    shown = token.replace(" ", "␣").replace("\n", "↵").replace("\t", "→")
    return escape("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in shown) or "∅")


def note(text: str, kind: str = "note") -> str:
    """A paragraph."""
    return f'<p class="{kind}">{escape(text)}</p>'


def figure(name: str, content: str, hint: str = "") -> str:
    """What can be pointed at, with a line below it that reads it out."""
    reading = f'<output class="reading" aria-live="polite">{escape(hint)}</output>'
    return f'<div class="figure" role="group" aria-label="{escape(name)}">{content}{reading}</div>'


def color_of(weight: float) -> str:
    """A color from white to dark blue for a weight from 0 to 1, and the color of text on it, as CSS."""
    red, green, blue = (int(c) for c in _heat(np.asarray([weight]))[0])
    ink = "#fff" if luminance(red, green, blue) < EVEN else "#000"
    return f"background:rgb({red},{green},{blue});color:{ink}"


def luminance(*color: int) -> float:
    """From 0, black, to 1, white (WCAG 2.2, relative luminance)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (channel / 255 for channel in color)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _heat(weights: np.ndarray) -> np.ndarray:
    """Interpolate the three colors of HEAT."""
    places = np.linspace(0, 1, len(HEAT))
    channels = [np.interp(weights, places, [color[i] for color in HEAT]) for i in range(3)]
    return np.stack(channels, axis=-1).round()


def thumbnail(weights: np.ndarray) -> str:
    """A map as a picture inside the page: its root, so that small weights are seen."""
    picture = Image.fromarray(_heat(np.sqrt(weights)).astype(np.uint8))
    file = io.BytesIO()
    picture.save(file, "PNG")
    return f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"


def head_buttons(maps: np.ndarray, costs: np.ndarray, chosen: tuple[int, int], off: Iterable[tuple[int, int]]) -> str:
    """A button with a small map for each head, a row for each layer."""
    rows, off = [], set(off)
    for layer, heads in enumerate(maps):
        cells = [f'<th scope="row">layer {layer}</th>']
        for head, weights in enumerate(heads):
            place, cost = (layer, head), costs[layer, head]
            is_off = " (off)" if place in off else ""
            say = f"Layer {layer}, head {head}{is_off}: without it alone the loss changes by {cost:+.3f} nats."
            style = "chosen" if place == chosen else ""
            style += " off" if is_off else ""
            cells.append(
                f'<td><button class="head {style}" data-pick="{layer},{head}" data-say="{say}" '
                f'aria-pressed="{"true" if place == chosen else "false"}" aria-label="{say}">'
                f'<img src="{thumbnail(weights)}" alt=""><span>{cost:+.2f}</span></button></td>'
            )
        rows.append(f"<tr>{''.join(cells)}</tr>")
    names = "".join(f'<th scope="col">head {head}</th>' for head in range(maps.shape[1]))
    return f'<div class="scroll"><table class="heads"><tr><td></td>{names}</tr>{"".join(rows)}</table></div>'


def heat_map(weights: Sequence[Sequence[float]], rows: Sequence[str], columns: Sequence[str], verb: str) -> str:
    """A square for each weight; the arrow keys move from one to the next.

    Args:
        verb: what a row does to a column, when a weight is read out: "looks at".
    """
    head = "".join(f'<th scope="col"><span>{visible(token)}</span></th>' for token in columns)
    body = []
    for row, (token, values) in enumerate(zip(rows, weights, strict=True)):
        cells = "".join(_square(value, token, columns[i], row, i, verb) for i, value in enumerate(values))
        body.append(f'<tr><th scope="row">{visible(token)}</th>{cells}</tr>')
    return (
        f'<div class="scroll"><table class="map" tabindex="0" aria-label="Arrow keys move from weight to weight.">'
        f"<tr><td></td>{head}</tr>{''.join(body)}</table></div>"
    )


def _square(value: float, row: str, column: str, row_place: int, column_place: int, verb: str) -> str:
    say = f"{visible(row)} (token {row_place}) {verb} {visible(column)} (token {column_place}): {value:.3f}"
    return f'<td style="{color_of(value**0.5)}" data-say="{say}"></td>'


def surprise_bars(tokens: Sequence[str], before: Sequence[float], after: Sequence[float]) -> str:
    """How much each token surprises the model: grey as it is, colored without the heads that are off."""
    most = max(*before, *after, 1e-9)
    rows = []
    for token, value, changed in zip(tokens, before, after, strict=True):
        kind = "worse" if changed > value else "better"
        rows.append(
            f'<tr><th scope="row">{visible(token)}</th><td class="bars">'
            f'<div class="bar plain" style="width:{100 * value / most:.1f}%"></div>'
            f'<div class="bar {kind}" style="width:{100 * changed / most:.1f}%"></div></td>'
            f"<td>{value:.2f}</td><td>{changed:.2f}</td><td>{changed - value:+.2f}</td></tr>"
        )
    titles = ("token", "", "as it is", "without", "change")
    names = "".join(f'<th scope="col">{title}</th>' if title else "<td></td>" for title in titles)
    return f'<div class="scroll"><table class="surprise"><tr>{names}</tr>{"".join(rows)}</table></div>'


def lens_table(
    tokens: Sequence[str],
    predicted: Sequence[Sequence[str]],
    probabilities: Sequence[Sequence[float]],
    of_the_next: Sequence[Sequence[float]],
) -> str:
    """What each block would predict after each token, the last block on top, as in a figure of the lesson."""
    head = "".join(f'<th scope="col">{visible(token)}</th>' for token in tokens)
    body = []
    for row in reversed(range(len(predicted))):
        name = f"block {row}" if row else "embedding"
        cells = []
        for place, (token, probability) in enumerate(zip(predicted[row], probabilities[row], strict=True)):
            say = f"After {name}, behind {visible(tokens[place])}: {visible(token)} with {probability:.1%}"
            if place + 1 < len(tokens):
                say += f"; {visible(tokens[place + 1])}, which comes, with {of_the_next[row][place]:.1%}"
            hit = " hit" if place + 1 < len(tokens) and token == tokens[place + 1] else ""
            cells.append(
                f'<td class="word{hit}" style="{color_of(probability)}" data-say="{say}">{visible(token)}</td>'
            )
        body.append(f'<tr><th scope="row">{name}</th>{"".join(cells)}</tr>')
    return (
        f'<div class="scroll"><table class="lens" tabindex="0" aria-label="Arrow keys move from cell to cell.">'
        f'<tr><th scope="col">read</th>{head}</tr>{"".join(body)}</table></div>'
    )


def written_tokens(prompt: Sequence[str], written: Sequence[str]) -> str:
    """The text so far: the prompt as it is, and a button for each token after it, which goes back to before it."""
    before = "".join(f'<span class="token t{i % TINTS}">{visible(token)}</span>' for i, token in enumerate(prompt))
    after = "".join(
        f'<button class="token t{(len(prompt) + i) % TINTS} written" data-pick="back:{i}" '
        f'aria-label="Go back to before {visible(token)}">{visible(token)}</button>'
        for i, token in enumerate(written)
    )
    return f'<div class="text">{before}{after}</div>'


def choice_table(
    token_ids: Sequence[int],
    texts: Sequence[str],
    stages: Sequence[tuple[str, int, Sequence[float]]],
    picked: int,
) -> str:
    """A row for each token with its probability after each stage; the token is a button that takes it.

    Args:
        stages: name, number of tokens that are left, and probabilities.
    """
    head = "".join(f'<th scope="col">{escape(name)}<small>{left:,} left</small></th>' for name, left, _ in stages)
    rows = []
    for row, (token_id, text) in enumerate(zip(token_ids, texts, strict=True)):
        cells = "".join(_probability(values[row]) for _, _, values in stages)
        mark = " picked" if token_id == picked else ""
        rows.append(
            f'<tr class="{mark.strip()}"><th scope="row"><button class="token take{mark}" data-pick="take:{token_id}" '
            f'aria-label="Continue with {visible(text)}">{visible(text)}</button></th>{cells}</tr>'
        )
    head = f'<tr><th scope="col">next token</th>{head}</tr>'
    return f'<div class="scroll"><table class="choice">{head}{"".join(rows)}</table></div>'


def _probability(value: float) -> str:
    if value == 0:
        return '<td class="cut">cut</td>'
    return f'<td><div class="bar plain" style="width:{100 * value:.1f}%"></div><span>{value:.1%}</span></td>'


def token_row(name: str, tokens: Sequence[tuple[str, int]], facts: str) -> str:
    """A text as the tokens of one vocabulary."""
    boxes = "".join(
        f'<span class="token t{i % TINTS}" data-say="{visible(text)}: token {token_id}">{visible(text)}</span>'
        for i, (text, token_id) in enumerate(tokens)
    )
    return f'<section><h2>{escape(name)} <small>{escape(facts)}</small></h2><div class="text">{boxes}</div></section>'


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Names with values in a line."""
    return (
        '<dl class="facts">'
        + "".join(f"<div><dt>{escape(a)}</dt><dd>{escape(b)}</dd></div>" for a, b in pairs)
        + "</dl>"
    )


def sparkline(name: str, values: Sequence[float], most: float | None = None) -> str:
    """A small curve of the newest values."""
    top = max(most or 0.0, *values, 1e-9)
    step = 200 / max(len(values) - 1, 1)
    points = " ".join(f"{i * step:.1f},{40 - 38 * value / top:.1f}" for i, value in enumerate(values))
    return (
        f'<svg class="spark" viewBox="0 0 200 42" role="img" aria-label="{escape(name)}" preserveAspectRatio="none">'
        f'<polyline points="{points}" /></svg>'
    )
