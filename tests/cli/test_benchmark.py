def test_the_quick_attention_benchmark_prints_its_tables(run):
    result = run("benchmark", "attention", "--quick")
    assert result.exit_code == 0, result.output
    assert "Window of 64 tokens" in result.output
    assert "Memory of forward + backward" in result.output
    assert "Whole texts by chunks" in result.output
