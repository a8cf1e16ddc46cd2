"""gemini-workshop doctor: is this machine ready?"""

import dataclasses
import json
from typing import Annotated

import typer

COLOURS = {"ok": typer.colors.GREEN, "note": typer.colors.BLUE, "fail": typer.colors.RED}


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON, for scripts.")] = False,
) -> None:
    """Check this machine: a verdict a line, a cure a failure.

    The exit code is 0 if nothing fails and 1 otherwise. Nothing is changed and nothing is sent anywhere.

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
            typer.echo(typer.style(verdict, fg=COLOURS[finding.verdict]) + rest)
        typer.echo(f"\n{failures} to mend: see the cures above." if failures else "\nReady: gemini-workshop lab")
    raise typer.Exit(1 if failures else 0)
