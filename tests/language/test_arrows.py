"""Arrow chains."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ragweave.orchestrator.language.arrows import ArrowSyntax, parse_chain


def pairs(text: str) -> list[tuple[str, str]]:
    return [(source.text, target.text) for source, target in parse_chain(text).pairs()]


@pytest.mark.parametrize(
    ("text", "edges"),
    [
        ("a -> b", ["ab"]),
        ("a->b->c", ["ab", "bc"]),
        ("a -> b, c", ["ab", "ac"]),
        ("b, c -> d", ["bd", "cd"]),
        ("a, b -> c, d", ["ac", "ad", "bc", "bd"]),
        ("  a ->\n b ,c-> d ", ["ab", "ac", "bd", "cd"]),
    ],
)
def test_each_name_of_a_group_is_joined_with_each_of_the_next(text: str, edges: list[str]) -> None:
    assert pairs(text) == [(edge[0], edge[1]) for edge in edges]


def test_names_know_where_they_stand() -> None:
    chain = parse_chain("start -> grade,  refuse->end")
    assert [(name.text, name.offset) for group in chain.groups for name in group] == [
        ("start", 0),
        ("grade", 9),
        ("refuse", 17),
        ("end", 25),
    ]


@pytest.mark.parametrize(
    ("text", "offset", "words"),
    [
        ("", 0, "an edge is missing"),
        ("a", 0, "a -> end"),
        ("a, b", 0, "needs an arrow"),
        ("a ->", 4, "after 'a ->' a node is missing"),
        ("a -> b ->  ", 9, "after 'b ->'"),
        ("-> a", 0, "before the first '->'"),
        ("a -> -> b", 5, "before this '->'"),
        ("a -> , b", 5, "before this ','"),
        ("a, -> b", 3, "before this '->'"),
        ("a -> b,", 6, "after 'b,'"),
        ("a -> b c", 7, "between 'b' and 'c'"),
        ("a - b", 2, "between 'a' and '-'"),
    ],
)
def test_what_is_missing_is_said_where_it_is_missing(text: str, offset: int, words: str) -> None:
    with pytest.raises(ArrowSyntax) as caught:
        parse_chain(text)
    assert caught.value.offset == offset
    assert words in caught.value.message
    assert caught.value.new == ""


@pytest.mark.parametrize("arrow", ["=>", "-->", "--", "==>", ">", ">>", "→", "⇒", "~>", "->>"])
def test_other_arrows_are_repaired(arrow: str) -> None:
    with pytest.raises(ArrowSyntax) as caught:
        parse_chain(f"a {arrow} b")
    assert (caught.value.offset, caught.value.old, caught.value.new) == (2, arrow, "->")


@pytest.mark.parametrize("arrow", ["<-", "<->", "<--"])
def test_arrows_the_other_way_are_not_guessed(arrow: str) -> None:
    with pytest.raises(ArrowSyntax) as caught:
        parse_chain(f"a {arrow} b")
    assert (caught.value.offset, caught.value.new) == (2, "")


ids = st.from_regex(r"[a-z][a-z0-9_]{0,5}", fullmatch=True)
groups = st.lists(st.lists(ids, min_size=1, max_size=3), min_size=2, max_size=5)


@given(groups, st.sampled_from([" -> ", "->", "\t->  "]), st.sampled_from([",", ", ", " , "]))
def test_a_chain_that_is_written_is_read_as_it_was_meant(names: list[list[str]], arrow: str, comma: str) -> None:
    text = arrow.join(comma.join(group) for group in names)
    chain = parse_chain(text)
    assert [[name.text for name in group] for group in chain.groups] == names
    assert all(text.startswith(name.text, name.offset) for group in chain.groups for name in group)
    assert parse_chain(str(chain)) == parse_chain(str(parse_chain(str(chain))))


@given(st.one_of(st.text(max_size=30), st.text("ab,->=<~→ \n", max_size=15)))
def test_any_text_is_a_chain_or_says_why_not(text: str) -> None:
    wrong = None
    groups = 2
    try:
        groups = len(parse_chain(text).groups)
    except ArrowSyntax as error:
        wrong = error
    assert groups >= 2
    assert wrong is None or (0 <= wrong.offset <= len(text) and text.startswith(wrong.old, wrong.offset))
