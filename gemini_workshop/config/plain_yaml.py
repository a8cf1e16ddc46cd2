"""YAML without the surprises of its version 1.1, in which 1:30 is 90, 010 is 8, ``no`` is false and a key counts twice.

Numbers are those that Python reads: 3, -3, 1_000, 0.5, 3e-4. All that is neither a number nor true, false or null is
text, which the field that it is for accepts or refuses.
"""

import itertools
import re
from typing import TYPE_CHECKING, Any

from gemini_workshop.errors import ConfigError
from gemini_workshop.reading import shortened

if TYPE_CHECKING:
    import yaml

MAX_DIGITS, MAX_DEPTH, MAX_CHARACTERS = 40, 50, 200_000
WORDS = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None, "~": None, "": None}
WHOLE = re.compile(r"[-+]?(0|[1-9](_?[0-9])*)")
NUMBER = re.compile(r"[-+]?([0-9](_?[0-9])*\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?")
SPECIAL = {".nan": "nan", ".inf": "inf", "-.inf": "-inf", "+.inf": "inf"}


def parse_yaml(text: str, name: str) -> Any:
    """What a YAML text says.

    Args:
        name: of where it came from, for the errors.

    Raises:
        ConfigError: it is not YAML, a key is there twice, or it uses tags, anchors or aliases.
    """
    import yaml  # not at the top: the command line shows --help without it

    if len(text) > MAX_CHARACTERS or _depth(text) > MAX_DEPTH:
        raise ConfigError(f"{name} is not valid YAML: it is nested too deep, or very long. Fix it.")
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        return None if node is None else _value(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        place = f" at line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError(f"{name} is not valid YAML: {error.problem or error.context}{place}. Fix it.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{name} is not valid YAML: {shortened(str(error))}. Fix it.") from None
    except RecursionError:
        raise ConfigError(f"{name} is not valid YAML: it is nested too deep. Fix it.") from None


def _depth(text: str) -> int:
    """How many brackets are open at once; beyond some hundreds the parser takes very long."""
    opened = itertools.accumulate((letter in "[{") - (letter in "]}") for letter in text)
    return max(opened, default=0)


def _value(node: "yaml.Node") -> Any:
    """The value of a node; each node counts once, so that no file of a few lines becomes a large one."""
    import yaml

    seen: set[int] = set()

    def value(node: yaml.Node) -> Any:
        if id(node) in seen:
            raise _problem(node, "an alias (*) is used")
        seen.add(id(node))
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [value(item) for item in node.value]
        found: dict[Any, Any] = {}
        for key_node, member in node.value:
            key = value(key_node) if isinstance(key_node, yaml.ScalarNode) else None
            if not isinstance(key, str):
                raise _problem(key_node, f"{shortened(str(key_node.value))!r} is not a name of a field")
            if key in found:
                raise _problem(key_node, f"{key!r} is there twice")
            found[key] = value(member)
        return found

    return value(node)


def _scalar(node: "yaml.ScalarNode") -> Any:
    text: str = node.value
    if node.style is not None or node.tag.startswith("!"):
        if node.style is None:
            raise _problem(node, f"the tag {node.tag} is used")
        return text
    if text in WORDS:
        return WORDS[text]
    if text in SPECIAL:
        return float(SPECIAL[text])
    if WHOLE.fullmatch(text) and len(text) <= MAX_DIGITS:
        return int(text)
    if NUMBER.fullmatch(text) and not re.match(r"[-+]?0[0-9]", text) and not WHOLE.fullmatch(text):
        return float(text)
    return text


def _problem(node: "yaml.Node", what: str) -> Exception:
    import yaml

    return yaml.MarkedYAMLError(problem=what, problem_mark=node.start_mark)
