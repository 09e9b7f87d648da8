"""What can be done to the file of a store: rows of other types, bits, and rows as only an attacker writes them."""

from __future__ import annotations

import json
import random
import sqlite3
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ragweave.orchestrator.errors import JournalError
from ragweave.orchestrator.running.events import JOURNALED
from ragweave.orchestrator.stores.batches import SEGMENT_BITS, cached_place, segment_place, value_place
from ragweave.orchestrator.stores.encoding import digest_with, written
from ragweave.orchestrator.stores.packing import pack, unpack

if TYPE_CHECKING:
    from tests.stores.forging import Corpus

Damage = Callable[[sqlite3.Connection], object]


def sql_of(sql: str, *values: object) -> Damage:
    """A damage by one statement."""
    return lambda db: db.execute(sql, values)


def does(function: Callable[..., object], *arguments: object, **more: object) -> Damage:
    """A damage by a function."""
    return lambda db: function(db, *arguments, **more)


VALUES: tuple[object, ...] = (
    None, 0, 1, -1, (1 << 63) - 1, -(1 << 63), 1 << 40, 0.5, float("inf"), float("-inf"), "", "x", "0", "\0",
    "é" * 5000, "running", "parked", b"", b"\x00", b"\xff" * 40, b"\x01" + bytes(60), bytes(100_000),
)  # fmt: skip
COLUMNS = {
    "runs": "id run tenant person thread graph version bundle status begun changed owner until fence head parent",
    "segments": "id body",
    "stored": "id tenant hash body",
    "uses": "id refs",
    "cached": "tenant key run expires body",
    "tenants": "id name",
    "facts": "name value",
}


def columns(corpus: Corpus) -> None:
    """Each column of each table with values that it never has, in all rows or the first; and whole tables gone."""
    for table, names in COLUMNS.items():
        for column in names.split():
            for value in VALUES:
                for where in ("", f"WHERE rowid = (SELECT min(rowid) FROM {table})"):
                    sql = f"UPDATE OR IGNORE {table} SET {column} = ? {where}"
                    corpus.attempt(f"{sql} {str(value)[:20]!r}", sql_of(sql, value))
        corpus.attempt(f"no rows in {table}", sql_of(f"DELETE FROM {table}"))
        corpus.attempt(f"no {table}", sql_of(f"DROP TABLE {table}"))
        corpus.attempt(f"rows of {table} twice", does(twice, table))
    for body in ("segments", "stored", "cached"):
        for sql in (
            f"UPDATE {body} SET body = (SELECT body FROM {body} ORDER BY rowid DESC LIMIT 1)",
            f"UPDATE {body} SET body = substr(body, 1, length(body) - 1)",
            f"UPDATE {body} SET body = substr(body, 1, 3)",
            f"UPDATE {body} SET body = body || x'00'",
            f"UPDATE {body} SET body = CAST(body AS TEXT)",
        ):
            corpus.attempt(sql, sql_of(sql))
    for sql in (
        "UPDATE runs SET id = 10 - id",
        "UPDATE segments SET id = id + (1 << 24)",
        "UPDATE OR IGNORE stored SET tenant = 3 - tenant",
        "UPDATE runs SET tenant = 3 - tenant",
        "UPDATE tenants SET name = name || 'x'",
        "UPDATE runs SET bundle = (SELECT hash FROM stored LIMIT 1)",
        "PRAGMA user_version = 99",
        "PRAGMA user_version = 1",
    ):
        corpus.attempt(sql, sql_of(sql))


def twice(db: sqlite3.Connection, table: str) -> None:
    db.execute(f"CREATE TABLE other AS SELECT * FROM {table}")
    db.execute(f"DROP TABLE {table}")
    db.execute(f"ALTER TABLE other RENAME TO {table}")
    db.execute(f"INSERT INTO {table} SELECT * FROM {table}")


def bits(corpus: Corpus) -> None:
    """Single bits of rows and of the file itself; every bit of the smallest rows."""
    random.seed(7)
    found = [
        (table, *corpus.good.execute(f"SELECT rowid, body FROM {table} ORDER BY length(body) LIMIT 1").fetchone())
        for table in ("segments", "stored", "cached")
    ]
    for table, row, body in found:
        places = range(8 * len(body)) if table == "stored" else random.sample(range(8 * len(body)), 60)
        for place in places:
            flipped = bytearray(body)
            flipped[place // 8] ^= 1 << place % 8
            if table == "stored":  # each bit is held against what reads rows; some of them against everything
                try:
                    tenant, name = corpus.good.execute(
                        "SELECT tenant, hash FROM stored WHERE rowid = ?", (row,)
                    ).fetchone()
                    unpack(bytes(flipped), value_place(tenant, name))
                    corpus.failures.append(f"bit {place} of {table} {row} is not told")
                except JournalError:
                    corpus.tried += 1
                if place % 40:
                    continue
            sql = f"UPDATE {table} SET body = ? WHERE rowid = ?"
            corpus.attempt(
                f"bit {place} of {table} {row}",
                sql_of(sql, bytes(flipped), row),
            )
    whole = corpus.good.serialize()
    for number in range(120):
        changed = bytearray(whole)
        for _ in range(1 + number % 8):
            place = random.randrange(len(whole))
            changed[place] ^= 1 << random.randrange(8)
        if number % 10 == 0:
            changed = changed[: random.randrange(len(changed))]
        corpus.file.unlink(missing_ok=True)
        corpus.attempt(f"the file itself, {number}", does(replaced, corpus.file, bytes(changed)))


def replaced(db: sqlite3.Connection, file: Path, content: bytes) -> None:
    """Write a file in the place of a database."""
    db.close()
    file.write_bytes(content)


# --- forging: with the right checksums and names ---


class Forge:
    """Writes lines and values as the store itself would."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db
        self.key, self.tenant, head = db.execute("SELECT id, tenant, head FROM runs ORDER BY id").fetchone()
        self.first = self.key << SEGMENT_BITS
        self.lines: list[str] = []
        for number in range(self.first, self.first + head):
            (body,) = db.execute("SELECT body FROM segments WHERE id = ?", (number,)).fetchone()
            self.lines += unpack(body, segment_place(number)).decode().split("\n")

    def write(self, text: bytes | None = None) -> None:
        """The journal, all in one part."""
        text = "\n".join(self.lines).encode("utf-8", "surrogatepass") if text is None else text
        self.db.execute("DELETE FROM segments WHERE id >= ? AND id < ?", (self.first, self.first + (1 << SEGMENT_BITS)))
        self.db.execute("INSERT INTO segments VALUES (?, ?)", (self.first, pack(text, segment_place(self.first))))
        self.db.execute("UPDATE runs SET head = 1 WHERE id = ?", (self.key,))

    def value(self, body: bytes, row: bytes | None = None) -> str:
        """A stored value; gives the slot that names it."""
        name = digest_with(None)(body)
        row = pack(body, value_place(self.tenant, name)) if row is None else row
        self.db.execute("INSERT INTO stored (tenant, hash, body) VALUES (?, ?, ?)", (self.tenant, name, row))
        return f'"{written(name)}"'


EVIL = (
    '{"__class__": "os.system", "args": ["touch /tmp/owned"]}',
    '"!!python/object/apply:os.system [id]"',
    '{"py/object": "subprocess.Popen"}', '"gASVHgAAAAAAAACMBXBvc2l4lIwGc3lzdGVtlJOUjAJpZJSFlFKULg=="',
    '{"type": "ragweave.orchestrator.values.Document", "lc": 1, "id": ["builtins", "eval"], "kwargs": {}}',
    "[" * 200 + "]" * 200, "NaN", "-Infinity", "1e400", "9" * 4000, "9" * 5000, '"\\ud800"', "{}", "[]", "null", "true",
    '{"l": [[1]]}', '{"a": 1, "a": 2}', '[{"id": 5, "text": {}}]', '[{"id": "a", "text": "b", "extra": 1}]',
    '"' + "x" * 300 + '"',
)  # fmt: skip
SLOTS = (
    "5", "null", "[]", "[1, 2]", '"short"', '"AAAAAAAAAAAAAAAAAAAAAA"', '{"l": 5}', '{"l": [5]}', '{"c": [[1]]}',
    '{"d": []}',
    '{"d": {"a": 5}}', '{"x": []}', '{"l": [], "c": []}', '{"b": []}', '{"b": ["=x", [1]]}', '{"b": [5, [1]]}',
    '{"b": ["=AAAAAAAAAAAAAAAAAAAAAA", [1]]}', '{"l": {"a": [1]}}', '{"c": "AAAAAAAAAAAAAAAAAAAAAA"}',
    '{"l": [' * 500 + "[1]" + "]}" * 500, '{"c": [' * 140 + "[[1]]" + "]}" * 140, '{"l":' * 5 + "[1]" + "}" * 5,
)  # fmt: skip


def events(corpus: Corpus) -> None:
    """Events that are well formed, and that no run of this graph has written."""
    for kind in (*sorted(JOURNALED), "unknown", "", "__class__", "started"):
        for data in (
            "{}", '{"path":["sign#1"],"ask":[{"question":"?"}]}', '{"path":[["a"]],"ask":[5],"answer":[1]}',
            '{"inputs":[5],"outputs":[5],"set":[5],"origins":[5]}', '{"inputs":[{"question":5}],"origins":[{"a":"b"}]}',
            '{"inputs":[{}],"deadline":["soon"],"overrides":[{"os":"system"}],"seconds":["x"]}',
            '{"inputs":[{"question":"a"}],"deadline":[-1e308],"seconds":[NaN],"partial":[5],"overrides":[[1]]}',
            '{"agreed":[5],"documents":[{"id":1}],"unknown":[1],"error":[[]],"calls":["many"]}',
            '{"calls":[-1e99],"spent":["NaN"],"input_tokens":[1e999]}', '{"calls":[999999999999999999999]}',
            '{"path":[""],"answer":[{"__class__":"os"}],"set":[{"question":5,"other":[]}]}',
        ):  # fmt: skip
            for where in ('"","",0,null,0,-1,0', '"","find",1,null,0,0,1', '"no#1/","sign",1,0,0,5,-1'):
                line = f'["{kind}",{where},1.5,{data}]'
                for at in (1, None):
                    corpus.attempt(f"{line} at {at}", does(inserted, line, at))
    for number, field in enumerate(
        ("kind", "frame", "node", "visit", "item", "member", "route", "origin", "at", "data")
    ):
        for new in ("5", "-5", "1e400", "9" * 30, '"x"', '""', "null", "[]", "{}", "true", '"\\ud800"', '["x"]', "NaN"):
            corpus.attempt(f"{field} is {new}", does(refielded, number, new))


def inserted(db: sqlite3.Connection, line: str, at: int | None) -> None:
    forge = Forge(db)
    forge.lines.insert(len(forge.lines) if at is None else at, line)
    forge.write()


def refielded(db: sqlite3.Connection, number: int, new: str) -> None:
    """Another value for one field of every event but the first."""
    forge = Forge(db)
    lines = [json.loads(line) for line in forge.lines[1:]]
    texts = [[json.dumps(field) for field in line] for line in lines]
    forge.lines[1:] = [f"[{','.join((*text[:number], new, *text[number + 1 :]))}]" for text in texts]
    forge.write()


def values(corpus: Corpus) -> None:
    """Values that look like code, that do not fit their types, that unfold without end."""
    for text in EVIL:
        for shape in ("[{}]", '{{"l":[[{}]]}}'):
            slot = shape.format(text)
            corpus.attempt(f"value {slot[:80]}", does(rewritten, slot))
        corpus.attempt(f"stored {text[:80]}", does(stored, [b"J" + text.encode()]))
        corpus.attempt(f"cached {text[:80]}", does(cached, text))
    for slot in SLOTS:
        corpus.attempt(f"slot {slot[:80]}", does(rewritten, slot))
        corpus.attempt(f"stored slot {slot[:80]}", does(stored, [b"S" + slot.encode()]))
        corpus.attempt(f"cached slot {slot[:80]}", does(cached, slot, raw=True))
    for body in (
        b"",
        b"J",
        b"S",
        b"B",
        b"X1",
        b"J\xff",
        b"S\xff",
        b"J[1",
        b"B" + bytes(100),
        b"J" + b"[" * 1_000_000,
        b"c__builtin__\neval\n.",
    ):
        corpus.attempt(f"body {body[:20]!r}", does(stored, [body]))
    for content in (
        b"",
        b"\n\n",
        b"\xff",
        b"[" * 1_000_000,
        b"{" * 50,
        b"[1]",
        b"\0\0\0[\0\0\0]",
        b"\xff\xfe[\0]\0",
        b"null",
        b"\0" * 1000,
        b"[" + b"1," * 500_000 + b"1]",
    ):
        corpus.attempt(f"journal {content[:20]!r}", does(journalled, content))
    bomb = pack(bytes(300 << 20), b"")[5:]
    corpus.attempt("a row that unfolds to 300 MB", does(bombed, bomb))
    for form in ("l", "c"):
        corpus.attempt(f"values that double 60 times, {form}", does(doubled, form, 60))
        corpus.attempt(f"values that double 24 times, {form}", does(doubled, form, 24))
    corpus.attempt("values in values in values", does(doubled, "chain", 400))
    corpus.attempt("a value that names itself", selfish)


def journalled(db: sqlite3.Connection, text: bytes) -> None:
    Forge(db).write(text)


def rewritten(db: sqlite3.Connection, slot: str) -> None:
    """The same slot for everything that the run has, its start included."""
    forge = Forge(db)
    for number, text in enumerate(forge.lines):
        head, _, _ = text.rpartition(",{")
        line = json.loads(text)
        forge.lines[number] = f"{head},{{{','.join(f'{json.dumps(key)}:{slot}' for key in line[9])}}}]"
    forge.write()


def stored(db: sqlite3.Connection, bodies: list[bytes]) -> None:
    forge = Forge(db)
    slots = [forge.value(body) for body in bodies]
    forge.lines.append(f'["finished","","sign",1,null,0,0,1,2.0,{{"agreed":{slots[-1]}}}]')
    forge.write()


def cached(db: sqlite3.Connection, text: str, *, raw: bool = False) -> None:
    slot = text if raw else f"[{text}]"
    line = f'["cached","","",0,null,0,-1,0,1.0,{{"said":{slot}}}]'
    tenant, key = db.execute(
        "SELECT c.tenant, key FROM cached c JOIN tenants t ON t.id = tenant WHERE name = ''"
    ).fetchone()
    db.execute("UPDATE cached SET body = ? WHERE tenant = ?", (pack(line.encode(), cached_place(tenant, key)), tenant))


def bombed(db: sqlite3.Connection, bomb: bytes) -> None:
    forge = Forge(db)
    place = segment_place(forge.first)
    forge.write()
    row = b"\x01" + zlib.crc32(bomb, zlib.crc32(place)).to_bytes(4, "big") + bomb
    db.execute("UPDATE segments SET body = ? WHERE id = ?", (row, forge.first))


def doubled(db: sqlite3.Connection, form: str, times: int) -> None:
    """Few rows that unfold to very much."""
    forge = Forge(db)
    slot = forge.value(b"J[1,2]")
    for _ in range(times):
        body = f'{{"l":[{slot}]}}' if form == "chain" else f'{{"{form}":[{slot},{slot}]}}'
        slot = forge.value(b"S" + body.encode())
    forge.lines.append(f'["finished","","sign",1,null,0,0,1,2.0,{{"agreed":{slot}}}]')
    forge.write()


def selfish(db: sqlite3.Connection) -> None:
    """A cycle cannot be had with right hashes: one that claims to be."""
    forge = Forge(db)
    name = bytes(16)
    slot = f'"{written(name)}"'
    row = pack(b'S{"l":[' + slot.encode() + b"]}", value_place(forge.tenant, name))
    db.execute("INSERT INTO stored (tenant, hash, body) VALUES (?, ?, ?)", (forge.tenant, name, row))
    forge.lines.append(f'["finished","","sign",1,null,0,0,1,2.0,{{"agreed":{slot}}}]')
    forge.write()


DAMAGES: dict[str, Callable[[Corpus], None]] = {"columns": columns, "bits": bits, "events": events, "values": values}
