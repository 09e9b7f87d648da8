"""Words of questions and passages as stems, with how much each says."""

from __future__ import annotations

import re
import threading
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache

import Stemmer  # type: ignore[import-not-found]  # a C extension without types

_local = threading.local()
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:[.,]\d+)*")
_MANY = 20_000
# Letters that Unicode does not take apart, and the typographic apostrophe.
_LETTERS = str.maketrans(
    {"’": "'", "ø": "o", "æ": "ae", "œ": "oe", "ß": "ss", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i"}
)

# Words that say nothing about a topic: articles, pronouns, prepositions, auxiliaries, question words, politeness.
_EMPTY = """
a about above after again against ago all almost alone along already also although always am among an and another any
anybody anyone anything are around as at away back be because been before behind being below between beyond both but
by can cannot could did do does doing done down during each either else enough etc ever every everybody everyone
everything few for from further had has have having he hence her here hers herself him himself his how however i if in
indeed instead into is it its itself just least less let like many may maybe me mean might mine more most much must my
myself near neither never next no nobody none nor not nothing now of off often ok on once one ones only onto or other
others otherwise our ours ourselves out over own per perhaps please quite rather really same shall she should since so
some somebody someone something still such than thank thanks that the their theirs them themselves then there these
they thing things this those though through throughout thus till to together too toward towards under until unto up
upon us very via was we well were what whatever when whenever where whether which while who whoever whole whom whose
why will with within without would yes yet you your yours yourself isn don doesn didn aren wasn weren won wouldn
couldn shouldn hasn haven hadn ll ve re d s t m
"""

# Words found in questions and texts of any topic: they help to choose between sentences, but prove little.
_LIGHT = """
add allow amount appear ask attempt become begin best better big bring call case cause certain change choose come
common consider contain continue correct day detail describe different difference difficult easy effect end entire
exact example exist explain fact famous feature final find first follow form found function general get give go good
great happen help high hold hour idea important include information intend interest keep kind know known large last
later lead learn leave left length level light list little live locate long look lot main make mean method minute
moment month move name need new normal note number occur old open order original part particular people person place
point possible prefer primary process produce provide purpose put question reach real reason recommend regard relate
remain require result right role run say second see seem serve set several short show similar simple single small sort
special start state step stop summary sure take tell term time total true try turn type typical use usual value
various want way week word work world year call homemade home actual according again approximately available based
become classic correctly currently daily exactly finally generally intend mainly mostly nearly normally often
originally probably properly purpose quickly recently simply sometimes go goes went gone going come came comes
specifically suggest suitable traditional traditionally typically usually suppose mention supposed able amount meant
count
"""

# Forms of irregular verbs that stemming does not bring together, by their base.
_IRREGULAR = """
be been; beat beaten; become became; begin began begun; bend bent; bite bit bitten; blow blew blown; break broke
broken; bring brought; build built; burn burnt; buy bought; catch caught; choose chose chosen; come came; cut cut;
deal dealt; dig dug; draw drew drawn; drink drank drunk; drive drove driven; eat ate eaten; fall fell fallen; feed
fed; feel felt; fight fought; find found; fly flew flown; forget forgot forgotten; freeze froze frozen; get got
gotten; give gave given; go went gone; grind ground; grow grew grown; hang hung; hear heard; hide hid hidden; hold
held; keep kept; know knew known; lay laid; lead led; leave left; lend lent; lose lost; make made; mean meant; meet
met; pay paid; ride rode ridden; ring rang rung; rise rose risen; run ran; say said; see saw seen; seek sought; sell
sold; send sent; shake shook shaken; shine shone; shoot shot; show shown; shrink shrank shrunk; sing sang sung; sink
sank sunk; sit sat; sleep slept; speak spoke spoken; spend spent; spin spun; stand stood; steal stole stolen; stick
stuck; strike struck; swim swam swum; take took taken; teach taught; tear tore torn; tell told; think thought; throw
threw thrown; understand understood; wake woke woken; wear wore worn; weave wove woven; win won; write wrote written;
life lives; half halves; leaf leaves; loaf loaves; knife knives; shelf shelves; wife wives; child children; foot feet;
tooth teeth; mouse mice
"""
_NUMBERS = """
zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
eighteen nineteen twenty
"""

# Words that name the source instead of its subject: "does the recipe say", "according to this document".
_SOURCE = """
article book chapter cookbook document documentation file guide handbook manual page passage recipe section source text
"""


@dataclass(frozen=True, slots=True)
class Word:
    """A word or number of a text: its stem, and where it stands."""

    stem: str
    start: int
    end: int


def fold(text: str) -> str:
    """The text in lower case, without accents and with plain apostrophes: `Crème` is `creme`."""
    decomposed = unicodedata.normalize("NFKD", text.lower().translate(_LETTERS))
    return "".join(character for character in decomposed if not unicodedata.combining(character))


@lru_cache(_MANY)
def stem(word: str) -> str:
    """The stem of one word (Snowball English), folded.

    `frozen` is `freez`, `two` is `2`; `l'orange` and `orange's` are `orang`.
    """
    before, _, after = fold(word).partition("'")
    plain = after if len(before) <= 2 < len(after) else before
    plain = _bases().get(plain, plain)
    return _stemmer().stemWord(plain) if plain.isalpha() else plain


def words(text: str) -> Iterator[Word]:
    """The words and numbers of a text, in order."""
    for match in _WORD.finditer(text):
        yield Word(stem(match[0]), match.start(), match.end())


@lru_cache(_MANY)
def stems(text: str) -> frozenset[str]:
    """The stems of a text's words that say something."""
    return frozenset(word.stem for word in words(text) if weight(word.stem) > 0.0)


def weight(stem: str) -> float:
    """How much a stem says about a topic before any text is seen: 0 (`the`), 0.25 (`start`) or 1 (`saffron`)."""
    empty, light = _tables()
    if stem in empty:
        return 0.0
    if stem in light or stem.isdigit() or len(stem) == 1:
        return 0.25
    return 1.0


def names_the_source(stem: str) -> bool:
    """True of words such as `recipe` and `article`: they ask for the source as such, whatever it is about."""
    return stem in _source_words()


def related(asked: str, found: str) -> float:
    """How far two stems are one word: 1 if equal, 0.75 for a spelling variant or a derived form, else 0.

    `biryani` and `biriyani` are variants; `sweeten` and `sweet` share enough of their beginning.
    """
    if asked == found:
        return 1.0
    if min(len(asked), len(found)) < 4 or asked[0] != found[0] or abs(len(asked) - len(found)) > 4:
        return 0.0
    shared = _shared_start(asked, found)
    if shared >= 5 and shared / max(len(asked), len(found)) >= 0.7:
        return 0.75
    if min(len(asked), len(found)) >= 6 and _one_edit(asked, found):
        return 0.75
    return 0.0


def _shared_start(left: str, right: str) -> int:
    for index, (one, other) in enumerate(zip(left, right, strict=False)):
        if one != other:
            return index
    return min(len(left), len(right))


def _one_edit(left: str, right: str) -> bool:
    """True if one letter put in, left out or changed makes one word the other."""
    if len(left) > len(right):
        left, right = right, left
    if len(right) - len(left) > 1:
        return False
    start = _shared_start(left, right)
    rest = left[start:] if len(right) > len(left) else left[start + 1 :]
    return rest == right[start + 1 :]


def _stemmer() -> Stemmer.Stemmer:
    """One for each thread: PyStemmer's objects may not be shared."""
    found = getattr(_local, "stemmer", None)
    if found is None:
        found = _local.stemmer = Stemmer.Stemmer("english")
    return found


@cache
def _bases() -> dict[str, str]:
    """Irregular forms by base, and number words by digits (`one` is more often a pronoun)."""
    bases = {form: forms[0] for forms in (line.split() for line in _IRREGULAR.split(";")) for form in forms[1:]}
    return {**bases, **{word: str(value) for value, word in enumerate(_NUMBERS.split()) if value != 1}}


@cache
def _tables() -> tuple[frozenset[str], frozenset[str]]:
    empty = frozenset(stem(word) for word in _EMPTY.split()) - {"second"}
    return empty, frozenset(stem(word) for word in _LIGHT.split()) - empty


@cache
def _source_words() -> frozenset[str]:
    return frozenset(stem(word) for word in _SOURCE.split())
