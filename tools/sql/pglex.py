"""Just enough of PostgreSQL's lexical rules to see which functions a query calls and which tables it may name, and to
refuse what is hard to read.

Whatever is not understood is refused. Strings with escapes by Unicode (`U&`), dollar quotes and parameters are: no
question needs them, and each is a way to hide a name.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import NamedTuple

from ragweave.orchestrator.errors import ToolError

_TOKEN = re.compile(
    r"""
    (?P<space>[ \t\n\r\f\v]+|--[^\n\r]*)
  | (?P<unicode>[uU]&['"])
  | (?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')
  | (?P<string>(?:[bBxXnN])?'(?:[^']|'')*')
  | (?P<quoted>"(?:[^"]|"")+")
  | (?P<dollar>\$)
  | (?P<word>[A-Za-z_\u0080-\U0010ffff][A-Za-z0-9_$\u0080-\U0010ffff]*)
  | (?P<number>(?:\d[\d_]*\.?[\d_]*|\.\d[\d_]*)(?:[eE][+-]?\d+)?)
  | (?P<sign>[-+*/<>=~!@\#%^&|`?.,;:()\[\]])
    """,
    re.VERBOSE | re.DOTALL,
)


_FUNCTIONS = """
abs age array_agg array_length array_to_string ascii avg bit_length bool_and bool_or btrim cardinality cbrt ceil
ceiling char_length character_length chr clock_timestamp coalesce concat concat_ws corr count covar_pop cume_dist
current_date current_timestamp date date_bin date_part date_trunc dense_rank div every exp extract first_value floor
format generate_series greatest initcap isfinite json_agg json_array_elements json_array_elements_text
json_array_length json_build_array json_build_object json_each json_each_text json_extract_path json_extract_path_text
json_object_agg json_object_keys json_typeof jsonb_agg jsonb_array_elements jsonb_array_elements_text
jsonb_array_length jsonb_build_object jsonb_each jsonb_each_text jsonb_extract_path jsonb_extract_path_text
jsonb_object_agg jsonb_object_keys jsonb_typeof justify_days justify_hours justify_interval lag last_value lead least
left length ln localtime localtimestamp log log10 lower lpad ltrim make_date make_interval make_time make_timestamp
max md5 min mod mode now nth_value ntile nullif numeric octet_length overlay percent_rank percentile_cont
percentile_disc pi plainto_tsquery phraseto_tsquery position power random rank regexp_count regexp_match
regexp_replace regexp_split_to_array regr_slope repeat replace reverse right round row row_number row_to_json rpad
rtrim scale sign similarity split_part sqrt starts_with stddev stddev_pop stddev_samp string_agg string_to_array
strpos substr substring sum to_char to_date to_json to_jsonb to_number to_timestamp to_tsquery to_tsvector translate
trim trunc ts_headline ts_rank ts_rank_cd unnest upper var_pop var_samp variance websearch_to_tsquery width_bucket
word_similarity
"""
_GRAMMAR = """
all and any array as between bigint bit boolean by case cast char character cube date decimal distinct double else
except exists filter float from group grouping having ilike in int integer intersect interval is join lateral like
limit materialized not numeric offset on or order over overlaps partition real recursive rollup select sets similar
smallint some then time timestamp timestamptz to union using values varchar when where with within zone precision
fetch
"""
FUNCTIONS = frozenset(_FUNCTIONS.split())
"""What a query may call: functions that compute, none that read files, run text as SQL, or wait."""
_FROM = frozenset({"from", "join", "table"})
_AFTER_FROM = frozenset(
    {
        "select",
        "where",
        "group by",
        "having",
        "window",
        "order by",
        "limit",
        "offset",
        "fetch",
        "union",
        "intersect",
        "except",
    }
)
"""What ends the list of tables: reserved words, which name no table where they stand alone."""
GRAMMAR = frozenset(_GRAMMAR.split())
"""Words of the language that may stand before a bracket."""


class Word(NamedTuple):
    """A token: what kind, and its text; names without quotes are in lower case."""

    kind: str
    text: str


def words_of(sql: str) -> list[Word]:
    """The tokens of a query, without spaces and comments. Raises ToolError for what is not understood."""
    return [word for word, _ in _tokens(sql)]


def without_end(sql: str) -> str:
    """A query without the semicolons at its end, and what comments stand there. Raises ToolError."""
    ends = [end for word, end in _tokens(sql) if word != Word("sign", ";")]
    return sql[: ends[-1]] if ends else ""


def _tokens(sql: str) -> Iterator[tuple[Word, int]]:
    """Each token, and where it ends."""
    at = 0
    while at < len(sql):
        if sql.startswith("/*", at):
            at = _after_comment(sql, at)
            continue
        match = _TOKEN.match(sql, at)
        kind = match.lastgroup if match else None
        if match is None or kind is None:
            raise ToolError(f"the query cannot be read at {sql[at : at + 20]!r}")
        if kind in ("unicode", "dollar"):
            raise ToolError(f"{sql[at : at + 20]!r}: write strings and names in plain quotes, without $ and U&")
        at = match.end()
        text = match[0]
        if kind == "quoted":
            yield Word("name", text[1:-1].replace('""', '"')), at
        elif kind == "word":
            yield Word("word", text.lower()), at
        elif kind != "space":
            yield Word("string" if kind == "escaped" else kind, text), at


def _after_comment(sql: str, at: int) -> int:
    """The end of a comment; they nest."""
    depth = 0
    while True:
        match = re.compile(r"/\*|\*/").search(sql, at)
        if match is None:
            raise ToolError("a comment of the query is not closed")
        depth += 1 if match[0] == "/*" else -1
        at = match.end()
        if depth == 0:
            return at


def called(words: list[Word]) -> list[str]:
    """The names that stand before a bracket: functions, and words of the language such as IN and VALUES. What follows
    AS or WITH is not called: there the bracket lists columns."""
    before = [Word("end", ""), *words]
    return [
        word.text
        for last, (word, following) in zip(before, itertools.pairwise(words), strict=False)
        if word.kind in ("word", "name")
        and following == Word("sign", "(")
        and last not in (Word("word", "as"), Word("word", "with"), Word("word", "recursive"))
    ]


def named(words: list[Word]) -> set[tuple[str, str]]:
    """The tables and views that a query may name, as schema (or "") and name: every name that stands where one could,
    behind FROM, JOIN or TABLE. More than there are: aliases, and columns of conditions that join."""
    found = set[tuple[str, str]]()
    in_tables = [False]
    chain: list[str] = []
    end = Word("end", "")
    for last, word, following in zip([end, *words], words, [*words[1:], end], strict=False):
        if word.kind not in ("word", "name"):
            if word.text == "(":
                in_tables.append(in_tables[-1])
            elif word.text == ")" and len(in_tables) > 1:
                in_tables.pop()
            continue
        is_part = last == Word("sign", ".")
        if word.kind == "word":
            pair = f"{word.text} {following.text}"
            if word.text in _FROM:
                in_tables[-1] = True
            elif not is_part and last != Word("word", "as") and {word.text, pair} & _AFTER_FROM:
                in_tables[-1] = False
        chain = [*chain, word.text] if is_part else [word.text]
        if in_tables[-1] and following != Word("sign", "."):  # of a.b.c, what is the schema cannot be told
            found.update(itertools.pairwise(chain) if len(chain) > 1 else [("", chain[0])])
    return found
