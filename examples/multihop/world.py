"""The invented islands that this example asks about: `python world.py` writes `pages/` and `questions.jsonl`.

Every fact stands once in the tables below and once in the pages, so a question that follows several facts takes several
pages. What answers a question, and which pages that takes, is looked up along its path:
`Grey Heron > captain > born_in`.
"""

# ruff: noqa: E501 - a row of a table, a page and a question are a line each

from __future__ import annotations

import json
import re
from pathlib import Path

HERE = Path(__file__).parent
Facts = dict[str, dict[str, str]]


def rows(table: str) -> Facts:
    """The facts of a table: its first line names the columns, the first column names the page."""
    lines = [[cell.strip() for cell in line.split("|")] for line in table.strip().splitlines()]
    return {line[0]: dict(zip(lines[0][1:], line[1:], strict=True)) for line in lines[1:]}


PEOPLE = rows("""
name           | trade         | born_in    | born | died_in    | died | school                  | teacher        | spouse         | note
Ada Merrow     | sea captain   | Lisk       | 1834 | Wexholm    | 1899 | Thornquay Naval School  | Casper Vine    | Jonas Thule    | never wore a hat
Casper Vine    | sea captain   | Saltcrag   | 1809 | Port Emmer | 1871 | Thornquay Naval School  | Rufus Tane     | Edda Fenn      | collected barometers
Rufus Tane     | explorer      | Aldersee   | 1788 | Saltcrag   | 1852 | Wendside Academy        | Orla Brisk     | Nora Kestle    | mapped the southern shoals
Nora Kestle    | botanist      | Bellmarsh  | 1791 | Aldersee   | 1866 | Wendside Academy        | Orla Brisk     | Rufus Tane     | described ninety mosses
Orla Brisk     | geographer    | Owlbridge  | 1750 | Hallowick  | 1829 | Saint Alder College     | Silas Wren     | Hugh Ferrand   | lectured in verse
Silas Wren     | architect     | Dunnering  | 1721 | Owlbridge  | 1798 | Saint Alder College     | Tobias Lune    | Hester Lowe    | built only in brick
Edda Fenn      | architect     | Port Emmer | 1815 | Bellmarsh  | 1880 | Wendside Academy        | Nora Kestle    | Casper Vine    | drew with both hands
Hester Lowe    | engineer      | Thornquay  | 1729 | Dunnering  | 1801 | Saint Alder College     | Tobias Lune    | Silas Wren     | kept bees on the roof
Tobias Lune    | mathematician | Wexholm    | 1698 | Lisk       | 1770 | Wendside Academy        | Ned Farrow     | Cecily Moor    | counted the waves
Ned Farrow     | clockmaker    | Hallowick  | 1671 | Thornquay  | 1744 | Lantern School of Music | Piers Hobb     | Pia Quell      | wound every clock himself
Pia Quell      | organ builder | Bellmarsh  | 1668 | Hallowick  | 1740 | Lantern School of Music | Cosima Rill    | Ned Farrow     | was afraid of bells
Tom Orrin      | shipwright    | Owlbridge  | 1822 | Lisk       | 1891 | Thornquay Naval School  | Casper Vine    | Isolde Marrick | whistled while he planed
Isolde Marrick | composer      | Dunnering  | 1829 | Saltcrag   | 1904 | Lantern School of Music | Nora Kestle    | Tom Orrin      | wrote at night only
Jonas Thule    | painter       | Wexholm    | 1840 | Aldersee   | 1911 | Saint Alder College     | Edda Fenn      | Ada Merrow     | painted nothing but fog
Otto Pell      | film director | Aldersee   | 1908 | Owlbridge  | 1979 | Wendside Academy        | Emil Gant      | Mirela Stroud  | filmed without a script
Greta Hallam   | film director | Saltcrag   | 1915 | Dunnering  | 1990 | Saint Alder College     | Otto Pell      | Bram Ockley    | cut her films by hand
Mirela Stroud  | singer        | Hallowick  | 1921 | Thornquay  | 1998 | Lantern School of Music | Lavinia Streel | Otto Pell      | sang in six languages
Bram Ockley    | singer        | Lisk       | 1930 | Bellmarsh  | 2003 | Thornquay Naval School  | Mirela Stroud  | Greta Hallam   | had been a ferryman
Leona Dace     | singer        | Port Emmer | 1938 | Hallowick  | 2011 | Wendside Academy        | Mirela Stroud  | Ivo Sand       | played the wind organ
Ivo Sand       | engineer      | Thornquay  | 1933 | Wexholm    | 2007 | Saint Alder College     | Greta Hallam   | Leona Dace     | cycled across the ice
""")
TOWNS = rows("""
name       | region     | river  | founded | known_for          | market
Lisk       | Veldmark   | Ambel  | 1312    | its glass bells    | Tuesdays
Hallowick  | Veldmark   | Sorne  | 1280    | its owl carvings   | Fridays
Port Emmer | Quillshire | Tammer | 1405    | its smoked eel     | Mondays
Bellmarsh  | Quillshire | Sorne  | 1377    | its reed boats     | Thursdays
Dunnering  | Tarnhold   | Wend   | 1198    | its red bricks     | Saturdays
Saltcrag   | Tarnhold   | Ambel  | 1450    | its salt pans      | Wednesdays
Owlbridge  | Ostrane    | Wend   | 1241    | its covered market | Fridays
Thornquay  | Ostrane    | Tammer | 1366    | its rope walks     | Mondays
Wexholm    | Quillshire | Wend   | 1490    | its lavender       | Tuesdays
Aldersee   | Tarnhold   | Sorne  | 1333    | its frozen lake    | Thursdays
""")
REGIONS = rows("""
name       | capital    | sport          | coin    | joined | bird
Veldmark   | Hallowick  | stone skipping | florel  | 1611   | the barn owl
Quillshire | Port Emmer | eel racing     | pennish | 1587   | the heron
Tarnhold   | Dunnering  | ice bowling    | marque  | 1634   | the ptarmigan
Ostrane    | Thornquay  | rope dancing   | dolt    | 1702   | the black gull
""")
RIVERS = rows("""
name   | source         | length | mouth
Ambel  | the Grey Downs | 140    | Cold Sound
Sorne  | Mount Hask     | 212    | Eel Bay
Wend   | the Quiet Moor | 305    | Lantern Bay
Tammer | Lake Ilve      | 98     | Cold Sound
""")
SHIPS = rows("""
name           | kind        | builder     | built_in   | launched | captain     | end
Grey Heron     | barque      | Tom Orrin   | Thornquay  | 1871     | Ada Merrow  | was broken up
Marigold       | schooner    | Tom Orrin   | Port Emmer | 1858     | Casper Vine | ran aground on a sandbank
Northern Lamp  | survey ship | Silas Wren  | Saltcrag   | 1797     | Orla Brisk  | froze into the ice
Patient Ox     | ferry       | Hester Lowe | Bellmarsh  | 1768     | Silas Wren  | became an inn
Salt Widow     | cutter      | Edda Fenn   | Wexholm    | 1849     | Rufus Tane  | was sold abroad
Blue Cormorant | steamer     | Ivo Sand    | Owlbridge  | 1961     | Bram Ockley | is a museum today
""")
BANDS = rows("""
name            | formed_in | formed | singer        | sound
Tin Sparrows    | Bellmarsh | 1952   | Mirela Stroud | two fiddles and a washboard
Night Ferry     | Saltcrag  | 1957   | Bram Ockley   | guitars through a fog horn
Copper Lanterns | Wexholm   | 1963   | Leona Dace    | a wind organ and drums
""")
ALBUMS = rows("""
name               | band            | year | studio
Salt Letters       | Tin Sparrows    | 1955 | Dunnering
Harbour at Noon    | Night Ferry     | 1960 | Owlbridge
Songs for a Weir   | Copper Lanterns | 1966 | Aldersee
The Long Low Water | Night Ferry     | 1964 | Lisk
""")
INVENTIONS = rows("""
name          | inventor    | year | does                                 | kept_in
Tide clock    | Ned Farrow  | 1702 | shows the height of the sea          | Aldersee
Wind organ    | Pia Quell   | 1699 | plays whenever a storm comes up      | Owlbridge
Folding lamp  | Hester Lowe | 1760 | fits a lighthouse into a rowing boat | Hallowick
Ink barometer | Tobias Lune | 1733 | writes the weather down by itself    | Port Emmer
Snow bicycle  | Ivo Sand    | 1958 | runs on a skid and a spiked wheel    | Lisk
""")
SCHOOLS = rows("""
name                    | town      | founded | founder     | motto
Saint Alder College     | Owlbridge | 1640    | Maud Ilver  | Ask twice
Wendside Academy        | Dunnering | 1655    | Piers Hobb  | By water and by night
Lantern School of Music | Lisk      | 1661    | Cosima Rill | Louder than rain
Thornquay Naval School  | Thornquay | 1703    | Aldo Brand  | No knot too many
""")
FILMS = rows("""
name              | director     | year | music         | about
The Paper Lantern | Otto Pell    | 1951 | Bram Ockley   | a lighthouse keeper who reads to gulls
Winter Crossing   | Greta Hallam | 1949 | Mirela Stroud | a ferry that is late for a wedding
The Ninth Bridge  | Otto Pell    | 1962 | Ivo Sand      | two brothers who build the same bridge
A Crown of Gulls  | Greta Hallam | 1958 | Leona Dace    | a king who hides on a rock
""")
BRIDGES = rows("""
name            | architect  | town     | opened | spans
Needle Bridge   | Silas Wren | Lisk     | 1754   | three
Old Weir Bridge | Edda Fenn  | Aldersee | 1846   | seven
Lantern Viaduct | Edda Fenn  | Wexholm  | 1861   | twenty
""")

# What the pages say: one page for each row, one sentence for each fact.
TEXTS: list[tuple[Facts, str]] = [
    (
        PEOPLE,
        "{name} was {a_trade}, born in {born_in} in {born}. {First} studied at the {school} and was taught by {teacher}. {First} {note}, married {spouse}, and died in {died_in} in {died}.",
    ),
    (
        TOWNS,
        "{name} is a town in {region}, on the river {river}. It was founded in {founded} and is known for {known_for}. Its market is held on {market}.",
    ),
    (
        REGIONS,
        "{name} is one of the four regions of the islands. Its capital is {capital}. The official sport is {sport}, the coin is the {coin}, and the bird in its arms is {bird}. It joined the union in {joined}.",
    ),
    (RIVERS, "The {name} rises at {source} and is {length} kilometres long. It flows into the sea at {mouth}."),
    (
        SHIPS,
        "The {name} was a {kind} that {builder} designed. It was built in {built_in} and launched in {launched}. Its first captain was [{captain}]({captain_page}). In the end it {end}.",
    ),
    (
        BANDS,
        "The {name} were a band that was formed in {formed_in} in {formed}. Their singer was {singer}. They were known for {sound}.",
    ),
    (ALBUMS, "{name} is an album of the {band}, from {year}. It was recorded in {studio} in nine days."),
    (
        INVENTIONS,
        "The {name_small} is a device that {does}. {inventor} invented it in {year}. The first one is kept in a museum in {kept_in}.",
    ),
    (SCHOOLS, "The {name} is a school in {town}. {founder} founded it in {founded}. Its motto is: {motto}."),
    (FILMS, "{name} is a film of {year} about {about}. It was directed by {director}, with music by {music}."),
    (BRIDGES, "The {name} in {town} has {spans} spans and was opened in {opened}. Its architect was {architect}."),
]
ALL: Facts = {name: facts for table, _ in TEXTS for name, facts in table.items()}

# A question, and the facts that it follows. `earlier`, `later` and `same` compare what two paths lead to.
QUESTIONS = """
Where was the captain of the Grey Heron born? | Grey Heron > captain > born_in
When did the captain of the Marigold die? | Marigold > captain > died
In which town was the designer of the Northern Lamp born? | Northern Lamp > builder > born_in
Who taught the first captain of the Patient Ox? | Patient Ox > captain > teacher
Where did the inventor of the tide clock die? | Tide clock > inventor > died_in
Whom did the inventor of the ink barometer marry? | Ink barometer > inventor > spouse
At which school did the inventor of the snow bicycle study? | Snow bicycle > inventor > school
When was the director of The Paper Lantern born? | The Paper Lantern > director > born
Where did the director of Winter Crossing die? | Winter Crossing > director > died_in
Who taught the person who wrote the music for A Crown of Gulls? | A Crown of Gulls > music > teacher
What was the trade of the husband of Isolde Marrick? | Isolde Marrick > spouse > trade
Who was the singer of the band that recorded Salt Letters? | Salt Letters > band > singer
In which town was the band formed that made The Long Low Water? | The Long Low Water > band > formed_in
Where was the architect of the Needle Bridge born? | Needle Bridge > architect > born_in
What is the motto of the school where Leona Dace studied? | Leona Dace > school > motto
Who founded the school at which Ned Farrow studied? | Ned Farrow > school > founder
In which region is the town where the first tide clock is kept? | Tide clock > kept_in > region
Which river flows through the town where Jonas Thule died? | Jonas Thule > died_in > river
What is the coin of the region that Bellmarsh lies in? | Bellmarsh > region > coin
Where does the river on which Saltcrag lies rise? | Saltcrag > river > source
Which river flows through the town where the captain of the Grey Heron was born? | Grey Heron > captain > born_in > river
In which region is the town where the inventor of the wind organ was born? | Wind organ > inventor > born_in > region
When was the town founded in which the director of The Ninth Bridge was born? | The Ninth Bridge > director > born_in > founded
What is the motto of the school that the designer of the Salt Widow attended? | Salt Widow > builder > school > motto
What is the town known for in which the singer of the Night Ferry was born? | Night Ferry > singer > born_in > known_for
What was the trade of the person who taught the wife of Tom Orrin? | Tom Orrin > spouse > teacher > trade
Where was the teacher of the composer who married Tom Orrin born? | Tom Orrin > spouse > teacher > born_in
What is the official sport of the region in which the Blue Cormorant was built? | Blue Cormorant > built_in > region > sport
In which region is the town where the singer of the band that recorded Harbour at Noon was born? | Harbour at Noon > band > singer > born_in > region
Where does the river rise that flows through the birthplace of the captain of the Marigold? | Marigold > captain > born_in > river > source
What is the capital of the region of the town where the singer of the Copper Lanterns died? | Copper Lanterns > singer > died_in > region > capital
Which was launched earlier, the Grey Heron or the Salt Widow? | earlier: Grey Heron > launched; Salt Widow > launched
Who was born later, Greta Hallam or Leona Dace? | later: Greta Hallam > born; Leona Dace > born
Were Ada Merrow and Bram Ockley born in the same town? | same: Ada Merrow > born_in; Bram Ockley > born_in
Do Wexholm and Bellmarsh lie on the same river? | same: Wexholm > river; Bellmarsh > river
Which film has the director who was born earlier, The Paper Lantern or A Crown of Gulls? | earlier: The Paper Lantern > director > born; A Crown of Gulls > director > born
Did the inventors of the folding lamp and the snow bicycle come from the same town? | same: Folding lamp > inventor > born_in; Snow bicycle > inventor > born_in
Which ship had the captain who died later, the Marigold or the Northern Lamp? | later: Marigold > captain > died; Northern Lamp > captain > died
Were the architects of the Needle Bridge and the Old Weir Bridge born in the same town? | same: Needle Bridge > architect > born_in; Old Weir Bridge > architect > born_in
How long is the Wend? | Wend > length
"""


def page(name: str) -> str:
    """The file of a page."""
    return re.sub(r"\W+", "-", name.lower()).strip("-") + ".md"


def text(name: str, facts: dict[str, str], template: str) -> str:
    """The page of a row."""
    more = {f"{key}_page": page(value) for key, value in facts.items()}
    trade = facts.get("trade", "")
    more["a_trade"] = f"an {trade}" if trade[:1] in ("a", "e", "i", "o") else f"a {trade}"
    said = template.format(name=name, name_small=name.lower(), First=name.split(maxsplit=1)[0], **facts, **more)
    return f"# {name}\n\n{said}\n"


def follow(path: str) -> tuple[str, list[str]]:
    """Where a path leads, and the pages that say so."""
    name, *keys = path.strip().split(" > ")
    pages = []
    for key in keys:
        pages.append(page(name))
        name = ALL[name][key]
    return name, pages


def gold(path: str) -> tuple[str, list[str], str]:
    """The answer of a question, the pages that it takes, and its type."""
    rule, _, rest = path.rpartition(":")
    if not rule:
        answer, pages = follow(path)
        return answer, pages, "bridge" if len(pages) > 1 else "single"
    (one, first), (other, second) = map(follow, rest.split(";"))
    kind = "comparison" if len(first) == 1 else "bridge_comparison"
    if rule == "same":
        return "yes" if one == other else "no", first + second, kind
    names = [path.split(">")[0].strip() for path in rest.split(";")]
    wins = int(one) < int(other) if rule == "earlier" else int(one) > int(other)
    return names[0] if wins else names[1], first + second, kind


def questions() -> list[dict[str, object]]:
    """The questions with their answers and pages."""
    found: list[dict[str, object]] = []
    for line in QUESTIONS.strip().splitlines():
        question, path = (part.strip() for part in line.split("|"))
        answer, pages, kind = gold(path)
        row = {"id": f"q{len(found) + 1:02}", "question": question, "answers": [answer], "gold_docs": pages}
        found.append({**row, "type": kind, "hops": len(pages)})
    return found


def write(folder: Path) -> None:
    """Write the pages and the questions."""
    (folder / "pages").mkdir(exist_ok=True)
    for table, template in TEXTS:
        for name, facts in table.items():
            (folder / "pages" / page(name)).write_text(text(name, facts, template), encoding="utf-8")
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in questions())
    (folder / "questions.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    write(HERE)
