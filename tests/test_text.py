"""Numbers as people read them."""

import pytest

from amplify.text import number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "infinity"),
        (0.0, "0"),
        (0.12345, "0.12"),
        (3.14159, "3.1"),
        (31.4159, "31.4"),
        (314.159, "314"),
        (31415.9, "31\u202f400"),
    ],
)
def test_numbers_keep_the_digits_that_matter(value, text):
    assert number(value) == text
