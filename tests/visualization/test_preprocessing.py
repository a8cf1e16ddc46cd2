from gemini_workshop.data.preprocessing.report import Report
from gemini_workshop.visualization.preprocessing import preprocessing_report


def texts(axes) -> list[str]:
    return [text.get_text() for text in axes.texts]


def test_a_report_shows_every_reason_with_its_count_and_share_the_most_frequent_first():
    report = Report(num_read=200, num_kept=150)
    report.dropped.update({"too short": 10, "near-duplicate": 40})
    report.changed.update({"mojibake repaired": 5})
    left, right = preprocessing_report(report).axes
    assert [bar.get_width() for bar in left.patches] == [40, 10]
    assert [label.get_text() for label in left.get_yticklabels()] == ["near-duplicate", "too short"]
    assert texts(left) == ["40 (20.0%)", "10 (5.0%)"]
    assert texts(right) == ["5 (2.5%)"]
    assert left.get_title(loc="left") == "50 of 200 documents dropped"
    assert left.get_xlabel() == right.get_xlabel() == "documents"


def test_a_report_of_nothing_can_be_drawn():
    figure = preprocessing_report(Report())
    figure.canvas.draw()
    assert [texts(axes) for axes in figure.axes] == [["none"], ["none"]]
