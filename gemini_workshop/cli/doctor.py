"""gemini-workshop doctor: check this machine."""

import dataclasses
import json
from typing import Annotated

import typer

COLORS = {"ok": typer.colors.GREEN, "note": typer.colors.BLUE, "fail": typer.colors.RED}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, for scripts.")] = False,
) -> None:
    """Check this machine and suggest fixes.

    The exit code is 1 if a check fails, else 0. The command changes nothing and sends nothing anywhere.

    Examples:

      gemini-workshop doctor

      gemini-workshop doctor --json
    """
    from gemini_workshop.diagnostics import diagnose

    findings = diagnose()
    failures = sum(finding.verdict == "fail" for finding in findings)
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(finding) for finding in findings], indent=1))
    else:
        for finding in findings:
            verdict, rest = str(finding)[:5], str(finding)[5:]
            typer.echo(typer.style(verdict, fg=COLORS[finding.verdict]) + rest)
        typer.echo("\n" + (_summary(failures) if failures else "Ready: gemini-workshop lab"))
    raise typer.Exit(1 if failures else 0)


def _summary(failures: int) -> str:
    return "1 problem found; its fix is above." if failures == 1 else f"{failures} problems found; fixes are above."
