"""What every check has to keep: import the tests, and give a fixture `check` and one `faulty`, texts that it finds
something in.

    from ragweave.evals.kit.check import *

    @pytest.fixture
    def check(): return Mine(...)

    @pytest.fixture
    def faulty(): return ["…", "…"]
"""

from ragweave.evals.kit.check.finding import (
    test_a_text_that_grows_is_decided_once,
    test_nothing_is_found_in_nothing,
    test_places_are_in_order_within_the_text_and_apart,
    test_the_same_is_found_again,
    test_what_is_faulty_is_found,
    tries,
)

__all__ = [
    "test_a_text_that_grows_is_decided_once",
    "test_nothing_is_found_in_nothing",
    "test_places_are_in_order_within_the_text_and_apart",
    "test_the_same_is_found_again",
    "test_what_is_faulty_is_found",
    "tries",
]
