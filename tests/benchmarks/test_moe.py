from typer.testing import CliRunner

from gemini_workshop.cli.main import app


def test_the_quick_benchmark_prints_both_tables():
    result = CliRunner().invoke(app, ["benchmark", "moe", "--quick"])
    assert result.exit_code == 0, result.output
    layer, training = result.stdout.strip().split("\n\n")
    assert [line.split("  ")[0] for line in layer.splitlines()[2:]] == ["16 tokens, grouped_mm", "16 tokens, eager"]
    assert [line.split("  ")[0] for line in training.splitlines()[2:]] == [
        f"ours in {precision}, theirs {peer}"
        for peer in ("eager", "grouped_mm, fused AdamW")
        for precision in ("fp32", "bf16")
    ]
