"""``gemini-workshop benchmark``: one command a measurement, each printing one table of ratios to a peer."""

import typer

app = typer.Typer(
    no_args_is_help=True,
    help="Measure this package against its peers, side by side in one run.\n\n"
    "Figures are ratios of CPU seconds on one thread: above 1 means faster than the peer.",
)
