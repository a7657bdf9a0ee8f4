"""Everything is escaped by construction."""

from __future__ import annotations

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from openrelay_async.emulator.dashboard.markup import element

# HTML has no way to write NUL and carriage returns; parsers replace them, harmlessly.
texts = st.text(st.characters(exclude_characters="\x00\r", exclude_categories=["Cs"]))


class Collected(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.text, self.tags, self.values = "", [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.values += [value for _, value in attrs]

    def handle_data(self, data):
        self.text += data


@given(text=texts, value=texts)
def test_no_text_becomes_markup(text, value):
    read = Collected(element("p", text, [text], title=value))
    assert read.tags == ["p"]
    assert (read.text, read.values) == (text + text, [value])


def test_attributes_have_their_html_names():
    made = element("input", for_="a", data_key_id="b", hidden=True, checked=False, value=None, name="c")
    assert made == '<input for="a" data-key-id="b" hidden name="c">'


def test_markup_is_not_escaped_twice():
    assert element("b", element("i", "<"), None, ["x", element("br")]) == "<b><i>&lt;</i>x<br></b>"
