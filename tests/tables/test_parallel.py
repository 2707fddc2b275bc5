"""Work in threads."""

import pytest

from amplify.tables.parallel import in_order


def test_threads_keep_the_order():
    products = in_order(lambda a, b: a * b, ((k, 2) for k in range(50)))
    assert list(products) == [2 * k for k in range(50)]


def test_errors_are_passed_on():
    with pytest.raises(ZeroDivisionError):
        list(in_order(lambda k: 1 // k, [(2,), (1,), (0,)]))
