"""A database, and SQL that would change it, read beside it, or never end."""

from __future__ import annotations

SHOP = '''
PRAGMA synchronous = OFF;
CREATE TABLE artist (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE album (id INTEGER PRIMARY KEY, title TEXT, artist_id INTEGER REFERENCES artist (id), price REAL);
CREATE TABLE secret (token TEXT);
CREATE VIEW titles AS SELECT title, name FROM album JOIN artist ON artist.id = artist_id;
CREATE VIEW leaked AS SELECT token FROM secret;
CREATE VIRTUAL TABLE words USING fts5 (body);
CREATE TABLE "odd ""name""" ("a b" TEXT);
INSERT INTO artist VALUES (1, 'Bach'), (2, 'Nina');
INSERT INTO album VALUES (1, 'Fugues | and\nmore', 1, 9.5), (2, 'Live', 2, 12.0), (3, NULL, 2, NULL);
INSERT INTO secret VALUES ('hunter2');
INSERT INTO words VALUES ('green tea'), ('black coffee');
CREATE TRIGGER spy AFTER INSERT ON artist BEGIN DELETE FROM album; END;
'''

REFUSED = """
INSERT INTO artist VALUES (3, 'x')
INSERT INTO artist VALUES (3, 'x') RETURNING id
UPDATE artist SET name = 'x'
DELETE FROM artist
REPLACE INTO artist VALUES (1, 'x')
WITH x AS (SELECT 1) DELETE FROM artist
WITH x AS (SELECT 1) INSERT INTO artist SELECT 9, 'x'
DROP TABLE artist
DROP VIEW titles
ALTER TABLE artist ADD COLUMN x
ALTER TABLE artist RENAME TO other
CREATE TABLE x (a)
CREATE TEMP TABLE x (a)
CREATE TEMP TABLE x AS SELECT * FROM artist
CREATE VIEW x AS SELECT 1
CREATE TEMP VIEW x AS SELECT 1
CREATE INDEX x ON artist (name)
CREATE TRIGGER x AFTER INSERT ON artist BEGIN SELECT 1; END
CREATE VIRTUAL TABLE x USING fts5 (a)
INSERT INTO words (words) VALUES ('rebuild')
ATTACH DATABASE '/etc/passwd' AS x
ATTACH ':memory:' AS x
DETACH main
VACUUM
VACUUM INTO '/tmp/x.db'
ANALYZE
REINDEX
BEGIN
BEGIN IMMEDIATE
COMMIT
ROLLBACK
SAVEPOINT x
PRAGMA query_only = OFF
PRAGMA journal_mode = DELETE
PRAGMA table_info(artist)
PRAGMA database_list
PRAGMA writable_schema = ON
PRAGMA temp_store_directory = '/tmp'
SELECT * FROM pragma_table_info('artist')
SELECT * FROM pragma_database_list
SELECT count(*) FROM pragma_database_list
SELECT * FROM sqlite_master
SELECT count(*) FROM sqlite_master
SELECT sql FROM sqlite_schema
SELECT * FROM sqlite_temp_master
SELECT load_extension('/tmp/x.so')
SELECT load_extension('x', 'y')
SELECT readfile('/etc/passwd')
SELECT writefile('/tmp/x', 'y')
SELECT edit('x')
SELECT fts3_tokenizer('simple')
SELECT sqlite_compileoption_used('ENABLE_FTS5')
SELECT sqlite_source_id()
SELECT zeroblob(10)
SELECT randomblob(10)
SELECT 1; SELECT 2
SELECT 1; DROP TABLE artist
SELECT 1;;DELETE FROM artist
SELECT 1 /* ; */; DELETE FROM artist
EXPLAIN DELETE FROM artist
SELECT * FROM artist WHERE id = (DELETE FROM artist)
SELECT name INTO OUTFILE '/tmp/x' FROM artist
.read /etc/passwd
.shell id
""".strip().splitlines()

RUNAWAY = [
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0",
    "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 999) SELECT count(*) FROM n a, n b, n c",
    "WITH RECURSIVE n (i) AS (SELECT 'a' UNION ALL SELECT i || i FROM n) SELECT max(length(i)) FROM n",
    "SELECT replace(printf('%400000d', 1), ' ', 'ab')",
    (
        "WITH j AS (SELECT '[1' || replace(printf('%9000d', 1), ' ', ',1') || ']' AS j) "
        "SELECT count(*) FROM j, json_each(j) a, json_each(j) b, json_each(j) c"
    ),
]  # fmt: skip
