import pytest

from gemini_workshop.data.scraping.extraction import Selectors, decode_page, extract
from gemini_workshop.data.scraping.faults import PageFault
from gemini_workshop.errors import DataError

SELECTORS = Selectors(problem="#q", solution="#a", title="h1")


def problem_of(html: str) -> str:
    return extract(f"<div id=q>{html}</div><div id=a>yes</div>", SELECTORS).problem


def test_the_texts_are_found_by_their_selectors():
    found = extract("<h1>Sum</h1><p id=q>1 + 1?</p><p id=a>2</p><p id=a>3</p>", SELECTORS)
    assert (found.title, found.problem, found.solution) == ("Sum", "1 + 1?", "2")


def test_a_title_may_be_missing():
    assert extract("<p id=q>x<p id=a>y", SELECTORS).title == ""


@pytest.mark.parametrize(
    ("html", "fault"),
    [
        ("<p id=q>x", "'#a' matches nothing"),
        ("<p id=a>x", "'#q' matches nothing"),
        ("<p id=q> &nbsp; <p id=a>x", "'#q' matches no text"),
        ("", "'#q' matches nothing"),
        ("\x00\x01", "'#q' matches nothing"),
    ],
)
def test_a_page_without_them_is_a_fault(html, fault):
    with pytest.raises(PageFault, match=f"selector: {fault}"):
        extract(html, SELECTORS)


@pytest.mark.parametrize(
    "html",
    [
        "<p id=q>one<b>two</p></b></i><div id=a>three",
        "<table><tr><td id=q>one<b>two<td id=a>three</table></div></div>",
        "<!DOCTYPE nonsense [<!ENTITY x 'y'>]><p id=q>one<b>two</b></p><p id=a>three</p",
        "<?xml version='1.0'?><html><p id=q class='>one<b>two</b></p>".replace("class='", "") + "<p id=a>three",
        "<div>" * 5000 + "<p id=q>one<b>two</b></p><p id=a>three",
        "<p id=q>one<b>two</b>\x00</p><p id=a>three</p>" + "&" * 1000,
    ],
)
def test_broken_html_is_read_as_far_as_it_goes(html):
    found = extract(html, SELECTORS)
    assert found.problem.startswith("onetwo")
    assert found.solution.startswith("three")


def test_blocks_are_lines_and_white_space_is_squeezed():
    assert problem_of("<h2>Task</h2>\n  <p>Add <b>two</b>\n numbers.<br>Now.</p><ul><li>a</li><li>b</li></ul>") == (
        "Task\n\nAdd two numbers.\nNow.\n\na\n\nb"
    )


def test_code_keeps_its_indentation():
    code = "def f(x):\n    if x:\n\treturn 1\n\n    return  2"
    assert problem_of(f"<p>Code:</p><pre><code>{code}</code></pre><p>end</p>") == f"Code:\n\n{code}\n\nend"


def test_the_lines_of_code_are_kept_all():
    assert problem_of("<pre>a\n\n\nb</pre>c") == "a\n\n\nb\nc"


@pytest.mark.parametrize("table", [
    "<tr><td>1</td><td>2</td></tr><tr><td>3</td><td>4</td></tr>",
    "<thead><tr><th>1<th>2</thead>\n <tbody><tr>\n<td>3</td> <td>4</td></tr></tbody>",
])  # fmt: skip
def test_cells_are_parted_by_tabs_and_rows_by_line_ends(table):
    assert [
        [cell.strip() for cell in line.split("\t")] for line in problem_of(f"<table>{table}</table>").split("\n")
    ] == [
        ["1", "2"],
        ["3", "4"],
    ]


@pytest.mark.parametrize(("html", "text"), [
    ("10<sup>6</sup> m<sup>-1</sup>", "10^6 m^-1"),
    ("(a+b)<sup>n+1</sup>", "(a+b)^n+1"),
    ("the 1<sup>st</sup> of May<sup>[1]</sup>", "the 1st of May[1]"),
    ("H<sub>2</sub>O", "H2O"),
])  # fmt: skip
def test_an_exponent_is_not_joined_to_its_base(html, text):
    assert problem_of(html) == text


@pytest.mark.parametrize("tag", ["div", "span", "pre", "b"])
def test_elements_nested_deep_are_read_in_a_time_like_their_number(tag):
    assert problem_of(f"<{tag}>a" * 3000).count("a") == 3000


def test_scripts_styles_and_comments_are_no_text():
    assert problem_of("a<script>b</script><style>c</style><!-- d --><noscript>e</noscript>") == "a"


def test_one_selector_may_match_within_another():
    found = extract("<div id=q>one <b id=a>two</b></div>", SELECTORS)
    assert (found.problem, found.solution) == ("one two", "two")


@pytest.mark.parametrize("name", ["problem", "solution", "title"])
def test_what_is_no_selector_is_an_error_at_once(name):
    with pytest.raises(DataError, match=f"{name}='div\\[' is not a CSS selector"):
        Selectors(**({"problem": "p", "solution": "p"} | {name: "div["}))


@pytest.mark.parametrize(
    ("content", "charset"),
    [
        ("café — x".encode(), "utf-8"),
        ("café — x".encode(), None),
        ("café — x".encode(), "iso-8859-1"),
        ("café — x".encode(), "no-such-thing"),
        ("\ufeffcafé — x".encode(), "ascii"),
        ("café — x".encode("cp1252"), "iso-8859-1"),
        ("café — x".encode("cp1252"), "utf-8, or what the page says: <meta charset=windows-1252>"),
        ("café — x".encode("utf-16"), None),
        ("café — x".encode("utf-16-le"), "utf-16-le"),
    ],
)
def test_the_encoding_is_found_whatever_the_header_says(content, charset):
    if charset and "<meta" in charset:
        content, charset = b"<meta charset=windows-1252>" + content, "utf-8"
    assert decode_page(content, charset).removeprefix("<meta charset=windows-1252>") == "café — x"


def test_seven_bit_encodings_are_not_taken_for_utf_8():
    assert decode_page("東京".encode("iso2022_jp"), "iso-2022-jp") == "東京"


@pytest.mark.parametrize(("text", "label", "encoding"), [
    ("<p>喆是一个字。陶喆唱歌。", "gb2312", "gb18030"),
    ("陶喆", "x-gbk", "gb18030"),
    ("“ş”", "iso-8859-9", "cp1254"),
    ("กขค", "TIS-620", "cp874"),
    ("שלום", "iso-8859-8-i", "iso8859-8"),
    ("똠방", "ks_c_5601-1987", "cp949"),
    ("①", "shift_jis", "cp932"),
    ("+ADw-script+AD4-", "utf-7", "ascii"),
    ("\\u0041", "unicode_escape", "ascii"),
    ("xn--a", "punycode", "ascii"),
])  # fmt: skip
def test_labels_mean_what_browsers_take_them_for(text, label, encoding):
    assert decode_page(text.encode(encoding), label) == text


def test_without_any_name_statistics_decide():
    russian = "Широкая электрификация южных губерний даст мощный толчок подъёму сельского хозяйства. " * 3
    assert decode_page(russian.encode("cp1251"), None) == russian


def test_what_is_no_text_at_all_is_read_without_a_crash():
    assert isinstance(decode_page(bytes(range(256)) * 3, "utf-8"), str)
    assert decode_page(b"", None) == ""
