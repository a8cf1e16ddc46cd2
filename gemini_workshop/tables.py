"""Tables as plain text, for the terminal."""

from collections.abc import Sequence


def table(rows: Sequence[Sequence[str]], title: str = "") -> str:
    """Cells in columns: the first column flush left, the others flush right, two spaces between them.

    Args:
        title: a line above the table.

    Example:
        >>> print(table([["", "tokens"], ["train", "1,024"], ["test", "12"]]))
               tokens
        train   1,024
        test       12
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(map(_padded, row, widths, range(len(row)))).rstrip() for row in rows)
    return "\n".join([title, *lines] if title else lines)


def _padded(cell: str, width: int, column: int) -> str:
    return cell.rjust(width) if column else cell.ljust(width)
