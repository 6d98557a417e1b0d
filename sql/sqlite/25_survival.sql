-- MergeGuard SQL scripts, version 1: sqlite/25_survival.sql
-- What becomes of the rows that refer to two resources that become one, as 'mergeguard merge' decides it: the newest datum
-- stays, keys and sets are united, links are made once and not with oneself, no more of them stay than there may be.
--
-- SQLite has no loops. A trigger on a view runs once for each row of an INSERT, in the order of its SELECT: that is one.

-- Each of these is empty but for the time of one merge.

-- How the cells of some guids may be spelled: 1 the old root, 2 the new one, 3 others whose data moved.
DROP TABLE IF EXISTS mergeguard_asked;
CREATE TABLE mergeguard_asked (spelled NOT NULL, guid TEXT NOT NULL, part INTEGER NOT NULL, PRIMARY KEY (spelled)) WITHOUT ROWID;
-- Rows of the vendor's tables. Of the table of hashes 0 are what was loaded last for both roots, and -1 hashes to be cleared.
DROP TABLE IF EXISTS mergeguard_held;
CREATE TABLE mergeguard_held (
    number INTEGER PRIMARY KEY,
    table_no INTEGER NOT NULL,
    at NOT NULL,
    image TEXT,
    after_image TEXT,
    content TEXT,
    named TEXT,
    whole TEXT,
    class TEXT,
    turn INTEGER,
    time,
    age INTEGER,
    outdated INTEGER NOT NULL DEFAULT 0,
    stale INTEGER NOT NULL DEFAULT 0,
    itself INTEGER NOT NULL DEFAULT 0,
    rank INTEGER,
    fate TEXT,
    into_number INTEGER
);
CREATE INDEX mergeguard_held_at ON mergeguard_held (table_no, at);
-- Their cells: as they are, and as the journal keeps them.
DROP TABLE IF EXISTS mergeguard_held_cells;
CREATE TABLE mergeguard_held_cells (
    number INTEGER NOT NULL,
    place INTEGER NOT NULL,
    name TEXT NOT NULL,
    label TEXT NOT NULL,
    value,
    cell TEXT,
    said TEXT,
    PRIMARY KEY (number, place)
) WITHOUT ROWID;
CREATE INDEX mergeguard_held_cells_name ON mergeguard_held_cells (number, name);
DROP TABLE IF EXISTS mergeguard_held_guids;
CREATE TABLE mergeguard_held_guids (
    number INTEGER NOT NULL,
    name TEXT NOT NULL,
    guid TEXT NOT NULL,
    after_guid TEXT NOT NULL,
    stale INTEGER NOT NULL,
    after_value,
    PRIMARY KEY (number, name)
) WITHOUT ROWID;
-- What a row says once it is re-pointed, by each of the combinations of which no two rows may be equal.
DROP TABLE IF EXISTS mergeguard_held_keys;
CREATE TABLE mergeguard_held_keys (
    number INTEGER NOT NULL,
    unique_no INTEGER NOT NULL,
    said TEXT NOT NULL,
    PRIMARY KEY (number, unique_no)
) WITHOUT ROWID;
CREATE INDEX mergeguard_held_keys_said ON mergeguard_held_keys (unique_no, said);
DROP TABLE IF EXISTS mergeguard_taken;
CREATE TABLE mergeguard_taken (
    table_no INTEGER NOT NULL,
    unique_no INTEGER NOT NULL,
    said TEXT NOT NULL,
    number INTEGER NOT NULL,
    PRIMARY KEY (table_no, unique_no, said)
) WITHOUT ROWID;

-- A text becomes bytes only by way of bytes, two at a time: a text of UTF-16 has no odd number of them.
DROP VIEW IF EXISTS mergeguard_bytes;
CREATE VIEW mergeguard_bytes (every) AS SELECT x'000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f505152535455565758595a5b5c5d5e5f606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeafb0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff';

-- The class of the data in each table: as declared, or by the catalogue.
DROP TABLE IF EXISTS mergeguard_held_classes;
CREATE TABLE mergeguard_held_classes (table_no INTEGER PRIMARY KEY, class TEXT NOT NULL);

-- Asks for a guid, in each spelling that an index finds and as 16 bytes.
DROP VIEW IF EXISTS mergeguard_ask;
CREATE VIEW mergeguard_ask (guid, part) AS SELECT NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_ask_insert INSTEAD OF INSERT ON mergeguard_ask
BEGIN
    INSERT OR IGNORE INTO mergeguard_asked (spelled, guid, part)
    SELECT way.value, NEW.guid, NEW.part FROM json_each(json_array(
        NEW.guid, upper(NEW.guid), replace(NEW.guid, '-', ''), upper(replace(NEW.guid, '-', '')), '{' || NEW.guid || '}', upper('{' || NEW.guid || '}'), '{' || replace(NEW.guid, '-', '') || '}', upper('{' || replace(NEW.guid, '-', '') || '}'))) AS way;
    INSERT OR IGNORE INTO mergeguard_asked (spelled, guid, part)
    SELECT (
        WITH RECURSIVE byte (at, digits, bytes) AS (
            SELECT 1, CASE WHEN (SELECT swapped FROM mergeguard_places) THEN substr(NEW.guid, 7, 2) || substr(NEW.guid, 5, 2) || substr(NEW.guid, 3, 2) || substr(NEW.guid, 1, 2)
            || substr(NEW.guid, 12, 2) || substr(NEW.guid, 10, 2) || substr(NEW.guid, 17, 2) || substr(NEW.guid, 15, 2) || replace(substr(NEW.guid, 20), '-', '')
        ELSE replace(NEW.guid, '-', '') END, ''
            UNION ALL SELECT at + 4, digits, bytes || (
                substr(every, 16 * instr('0123456789abcdef', substr(digits, at, 1)) + instr('0123456789abcdef', substr(digits, at + 1, 1)) - 16, 1)
                || substr(every, 16 * instr('0123456789abcdef', substr(digits, at + 2, 1)) + instr('0123456789abcdef', substr(digits, at + 3, 1)) - 16, 1))
            FROM byte, mergeguard_bytes WHERE at < 32
        ) SELECT CAST(bytes AS BLOB) FROM byte WHERE at = 33
    ), NEW.guid, NEW.part;
END;

-- What was loaded last, by table and root; the greater the age the newer.
DROP VIEW IF EXISTS mergeguard_loads;
CREATE VIEW mergeguard_loads (table_no, guid, turn, time, age) AS
SELECT own.table_no, load.guid, load.turn, load.time, load.age
FROM mergeguard_held_classes AS own JOIN (
    SELECT row.class, owner.guid, row.turn, row.time, dense_rank() OVER (ORDER BY row.turn, row.time) AS age
    FROM mergeguard_held AS row JOIN mergeguard_held_guids AS owner ON owner.number = row.number WHERE row.table_no = 0
) AS load ON load.class = own.class;

-- Says rows whose cells were read as the journal has them.
DROP VIEW IF EXISTS mergeguard_say;
CREATE VIEW mergeguard_say (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_say_insert INSTEAD OF INSERT ON mergeguard_say
BEGIN
    UPDATE mergeguard_held_cells SET cell = CASE typeof(value) WHEN 'integer' THEN 'i:' || value WHEN 'blob' THEN 'b:' || lower(hex(value))
    WHEN 'text' THEN CASE
        WHEN instr(value, char(0)) = 0 AND value NOT GLOB '*[^ -~]*' THEN 't:' || value
        WHEN instr(value, char(0)) = 0 AND instr(value, char(65279)) = 0 AND CAST(value AS BLOB) = CAST((
            WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(value))
            SELECT group_concat(char(unicode(substr(value, at, 1))), '') FROM place
        ) AS BLOB) THEN 't:' || value
        ELSE 'x:' || lower(hex(CAST(value AS BLOB))) END
    WHEN 'real' THEN 'r:' || CASE WHEN value < 0 THEN '-' ELSE '' END || CASE WHEN value = 0 THEN '0x0.0p+0' WHEN abs(value) = 9e999 THEN 'inf' ELSE (
        WITH RECURSIVE half (m, e) AS (
            SELECT abs(value), 0 UNION ALL
            SELECT CASE WHEN m >= 2 THEN m / 2 ELSE m * 2 END, CASE WHEN m >= 2 THEN e + 1 ELSE e - 1 END FROM half WHERE m >= 2 OR m < 1 AND e > -1022
        )
        SELECT printf('0x%d.%013xp%+d', m, CAST((m - CAST(m AS INTEGER)) * 4503599627370496.0 AS INTEGER), e)
        FROM half WHERE m < 2 AND (m >= 1 OR e <= -1022)
    ) END END WHERE number IN (SELECT number FROM mergeguard_held WHERE image IS NULL);
    UPDATE mergeguard_held_cells SET said = coalesce((SELECT CASE WHEN t GLOB '*[^ -~]*' THEN (
        WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(t))
        SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
            ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
        FROM (SELECT unicode(substr(t, at, 1)) AS code FROM place)
    ) ELSE t END
        FROM (SELECT json_quote(cell) AS t) WHERE cell IS NOT NULL), 'null')
    WHERE number IN (SELECT number FROM mergeguard_held WHERE image IS NULL);
    UPDATE mergeguard_held SET image = (
        SELECT '{' || group_concat(label || ':' || said) || '}' FROM (
            SELECT label, said FROM mergeguard_held_cells AS own WHERE own.number = mergeguard_held.number ORDER BY place)
    ) WHERE image IS NULL;
END;

-- Reads the rows that were found and not read yet.
DROP VIEW IF EXISTS mergeguard_read;
CREATE VIEW mergeguard_read (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_read_insert INSTEAD OF INSERT ON mergeguard_read
BEGIN
    INSERT INTO mergeguard_read_held (part) VALUES (NEW.part);
    INSERT INTO mergeguard_say (part) VALUES (NEW.part);
END;

-- Rows of the new root give way to a newer one of the old root.
DROP VIEW IF EXISTS mergeguard_beat;
CREATE VIEW mergeguard_beat (number, table_no, age) AS SELECT NULL, NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_beat_insert INSTEAD OF INSERT ON mergeguard_beat
BEGIN
    INSERT INTO mergeguard_taken (table_no, unique_no, said, number)
    SELECT NEW.table_no, own.unique_no, own.said, NEW.number FROM mergeguard_held_keys AS own
    WHERE own.number = NEW.number AND NOT EXISTS (
        SELECT 1 FROM mergeguard_held_keys AS mine JOIN mergeguard_taken AS taken
        ON taken.table_no = NEW.table_no AND taken.unique_no = mine.unique_no AND taken.said = mine.said
        WHERE mine.number = NEW.number
    ) AND NOT EXISTS (
        SELECT 1 FROM mergeguard_held_keys AS mine
        JOIN mergeguard_held_keys AS same ON same.unique_no = mine.unique_no AND same.said = mine.said
        JOIN mergeguard_held AS other ON other.number = same.number
        WHERE mine.number = NEW.number AND other.table_no = NEW.table_no AND NOT other.stale AND other.fate IS NULL
        AND other.age >= NEW.age
    );
    UPDATE mergeguard_held SET fate = 'replaced'
    WHERE table_no = NEW.table_no AND NOT stale AND fate IS NULL AND number IN (
        SELECT same.number FROM mergeguard_held_keys AS mine
        JOIN mergeguard_held_keys AS same ON same.unique_no = mine.unique_no AND same.said = mine.said
        JOIN mergeguard_taken AS taken ON taken.table_no = NEW.table_no AND taken.unique_no = mine.unique_no
            AND taken.said = mine.said AND taken.number = NEW.number
        WHERE mine.number = NEW.number
    );
END;

-- A row of the old root is re-pointed, unless another one says the same or it would link the new root with itself.
DROP VIEW IF EXISTS mergeguard_settle;
CREATE VIEW mergeguard_settle (number, table_no, itself) AS SELECT NULL, NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_settle_insert INSTEAD OF INSERT ON mergeguard_settle
BEGIN
    UPDATE mergeguard_held SET into_number = CASE WHEN NOT NEW.itself THEN (
        SELECT taken.number FROM mergeguard_held_keys AS mine JOIN mergeguard_taken AS taken
        ON taken.table_no = NEW.table_no AND taken.unique_no = mine.unique_no AND taken.said = mine.said
        WHERE mine.number = NEW.number ORDER BY mine.unique_no LIMIT 1) END
    WHERE number = NEW.number;
    UPDATE mergeguard_held SET fate = CASE WHEN NEW.itself THEN 'dropped' WHEN into_number IS NULL THEN 'changed' ELSE 'collapsed' END
    WHERE number = NEW.number;
    INSERT OR IGNORE INTO mergeguard_taken (table_no, unique_no, said, number)
    SELECT NEW.table_no, own.unique_no, own.said, NEW.number
    FROM mergeguard_held AS held JOIN mergeguard_held_keys AS own ON own.number = held.number
    WHERE held.number = NEW.number AND held.fate = 'changed';
END;

-- The class of the data that a row of the table of hashes is about.
DROP VIEW IF EXISTS mergeguard_classify;
CREATE VIEW mergeguard_classify (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_classify_insert INSTEAD OF INSERT ON mergeguard_classify
BEGIN
    UPDATE mergeguard_held SET class = (
        SELECT coalesce(CASE WHEN typeof(own.value) = 'text' AND length(own.value) = 36 AND own.value LIKE '________-____-____-____-____________'
            AND length(replace(own.value, '-', '')) = 32 AND own.value NOT GLOB '*[^0-9a-f-]*' THEN own.value
        ELSE (
            SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                    THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
                WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
            FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
            FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
            FROM (SELECT lower(CASE WHEN typeof(own.value) <> 'blob' OR length(own.value) <> 16
                    THEN trim(CAST(own.value AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
                WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(own.value), 7, 2) || substr(hex(own.value), 5, 2) || substr(hex(own.value), 3, 2)
                    || substr(hex(own.value), 1, 2) || substr(hex(own.value), 11, 2) || substr(hex(own.value), 9, 2)
                    || substr(hex(own.value), 15, 2) || substr(hex(own.value), 13, 2) || substr(hex(own.value), 17)
                ELSE hex(own.value) END) AS t)))
        ) END, nullif(trim(CAST(own.value AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)), ''))
        FROM mergeguard_hash_place AS place
        JOIN mergeguard_held_cells AS own ON own.number = mergeguard_held.number AND own.name = place.class_name
    ) WHERE class IS NULL AND (table_no <= 0 OR table_no IN (SELECT table_no FROM mergeguard_hash_place));
END;

-- How new rows are: by the number of what wrote them, and by a time. One row alone competes with none.
DROP VIEW IF EXISTS mergeguard_date;
CREATE VIEW mergeguard_date (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_date_insert INSTEAD OF INSERT ON mergeguard_date
BEGIN
    UPDATE mergeguard_held SET turn = (
        SELECT CASE WHEN typeof(value) = 'integer' THEN value
            WHEN digits GLOB '[0-9]*' AND digits NOT GLOB '*[^0-9]*' AND length(ltrim(digits, '0')) <= 18 THEN CAST(t AS INTEGER)
            ELSE 'none' END
        FROM (SELECT value, t, CASE WHEN substr(t, 1, 1) IN ('+', '-') THEN substr(t, 2) ELSE t END AS digits FROM (
            SELECT own.value, trim(CAST(own.value AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) AS t
            FROM mergeguard_moved_tables AS one
            JOIN mergeguard_held_cells AS own ON own.number = mergeguard_held.number AND own.name = one.order_name
            WHERE one.table_no = mergeguard_held.table_no AND own.value IS NOT NULL))
    ), time = (
        SELECT CASE WHEN typeof(value) = 'integer' OR typeof(value) = 'real' AND abs(value) < 9e999 THEN value
            WHEN digits GLOB '[0-9]*[0-9]' AND digits NOT GLOB '*[^0-9.]*' AND digits NOT GLOB '*.*.*' AND length(digits) <= 16
                OR digits GLOB '[0-9]' THEN CAST(t AS NUMERIC)
            WHEN date(day, '+0 days') = day AND day > '0000-99' AND (length(body) = 10 AND zone = ''
                OR substr(body, 11, 1) IN ('T', ' ') AND clock < '24' AND (length(body) = 16 OR clock GLOB '??:??:??' AND (fraction = ''
                    OR fraction GLOB '.[0-9]*' AND substr(fraction, 2) NOT GLOB '*[^0-9]*')))
                THEN coalesce(datetime(day || ' ' || CASE length(body) WHEN 10 THEN '00:00' ELSE clock END || zone)
                    || '.' || substr(substr(fraction, 2) || '000000', 1, 6), x'00')
            ELSE x'00' END
        FROM (SELECT value, t, zone, body, substr(body, 1, 10) AS day, substr(body, 12, 8) AS clock, substr(body, 20) AS fraction,
                CASE WHEN substr(t, 1, 1) IN ('+', '-') THEN substr(t, 2) ELSE t END AS digits FROM (
            SELECT value, t, zone, substr(t, 1, length(t) - length(zone)) AS body FROM (
                SELECT value, t, CASE WHEN t GLOB '????-*[Zz]' THEN substr(t, -1)
                    WHEN length(t) > 16 AND substr(t, -6) GLOB '[+-][0-9][0-9]:[0-9][0-9]' THEN substr(t, -6) ELSE '' END AS zone FROM (
                    SELECT own.value, trim(CAST(own.value AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) AS t
                    FROM mergeguard_moved_tables AS one
                    JOIN mergeguard_held_cells AS own ON own.number = mergeguard_held.number AND own.name = one.time_name
                    WHERE one.table_no = mergeguard_held.table_no AND own.value IS NOT NULL))))
    ) WHERE table_no >= 0;
    SELECT RAISE(ABORT, 'mergeguard: unordered-time: a column named as order holds something else than whole numbers, so nobody can say which row is the newest')
    FROM mergeguard_held WHERE typeof(turn) = 'text' AND (table_no = 0
        OR (SELECT count(*) FROM mergeguard_held AS other WHERE other.table_no = mergeguard_held.table_no) > 1);
    SELECT RAISE(ABORT, 'mergeguard: unordered-time: a column of times holds what has no order, or both times and numbers, so nobody can say which row is the newest')
    FROM mergeguard_held AS one WHERE (table_no = 0 OR (SELECT count(*) FROM mergeguard_held AS other WHERE other.table_no = one.table_no) > 1)
    AND (typeof(time) = 'blob' OR typeof(time) = 'text' AND EXISTS (
        SELECT 1 FROM mergeguard_held AS other WHERE other.table_no = one.table_no AND typeof(other.time) IN ('integer', 'real')));
    UPDATE mergeguard_held SET time = NULL WHERE time = '0001-01-01 00:00:00.000000' OR typeof(time) = 'blob';
    UPDATE mergeguard_held SET turn = NULL WHERE typeof(turn) = 'text';
END;

-- Whose data moved, by class.
DROP VIEW IF EXISTS mergeguard_touched;
CREATE VIEW mergeguard_touched (guid, class) AS
SELECT own.guid, CASE WHEN held.table_no IN (SELECT table_no FROM mergeguard_hash_place) THEN held.class ELSE known.class END
FROM mergeguard_held AS held
JOIN (
    SELECT number, guid, 1 AS before FROM mergeguard_held_guids UNION SELECT number, after_guid, 0 FROM mergeguard_held_guids WHERE stale
) AS own ON own.number = held.number AND (own.before OR held.fate <> 'replaced')
LEFT JOIN mergeguard_held_classes AS known ON known.table_no = held.table_no
WHERE held.table_no > 0 AND held.fate IS NOT NULL AND EXISTS (SELECT 1 FROM mergeguard_hash_place)
AND CASE WHEN held.table_no IN (SELECT table_no FROM mergeguard_hash_place) THEN held.class ELSE known.class END IS NOT NULL;

-- What became of the rows that held the old root, by column. A row that gave way is counted under the first one that could have
-- made it so.
DROP VIEW IF EXISTS mergeguard_account;
CREATE VIEW mergeguard_account (name, changed, dropped, collapsed, outnumbered, replaced) AS
SELECT own.table_name || '.' || one.column_name, counted.changed, counted.dropped, counted.collapsed, counted.outnumbered, counted.replaced
FROM mergeguard_moved_tables AS own
JOIN mergeguard_moved_columns AS one ON one.table_no = own.table_no AND one.moves
JOIN (
    SELECT table_no, name, sum(fate = 'changed') AS changed, sum(fate = 'dropped') AS dropped, sum(fate = 'collapsed') AS collapsed,
        sum(fate = 'outnumbered') AS outnumbered, sum(fate = 'replaced') AS replaced
    FROM (
        SELECT held.table_no, moved.name, held.fate FROM mergeguard_held AS held
        JOIN mergeguard_held_guids AS moved ON moved.number = held.number AND moved.stale
        WHERE held.fate IN ('changed', 'dropped', 'collapsed', 'outnumbered')
        UNION ALL
        SELECT held.table_no, coalesce((
            SELECT min(moved.name) FROM mergeguard_held AS other
            JOIN mergeguard_held_guids AS moved ON moved.number = other.number AND moved.stale
            WHERE other.table_no = held.table_no AND other.fate IN ('changed', 'dropped', 'collapsed')
        ), (SELECT sets_name FROM mergeguard_moved_tables AS whole WHERE whole.table_no = held.table_no)), held.fate
        FROM mergeguard_held AS held
        WHERE held.fate = 'replaced' AND held.number IN (
            SELECT number FROM mergeguard_held_guids WHERE guid = (SELECT new_root FROM mergeguard_work))
    ) GROUP BY table_no, name
) AS counted ON counted.table_no = own.table_no AND counted.name = one.column_name
WHERE own.table_no > 0;

-- Works out what becomes of every row that refers to the old root (both roots are asked for), and which rows of the new one give way; changes nothing.
DROP VIEW IF EXISTS mergeguard_survive;
CREATE VIEW mergeguard_survive (old_root, new_root) AS SELECT NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_survive_insert INSTEAD OF INSERT ON mergeguard_survive
BEGIN
    DELETE FROM mergeguard_held;
    DELETE FROM mergeguard_held_cells;
    DELETE FROM mergeguard_held_guids;
    DELETE FROM mergeguard_held_keys;
    DELETE FROM mergeguard_taken;
    DELETE FROM mergeguard_held_classes;
    INSERT INTO mergeguard_find_held (part) VALUES (1);
    INSERT INTO mergeguard_read (part) VALUES (1);

    -- The guids in them, and what stands there afterwards, spelled as before.
    INSERT INTO mergeguard_held_guids (number, name, guid, after_guid, stale)
    SELECT number, name, guid, CASE WHEN moves AND guid = NEW.old_root THEN NEW.new_root ELSE guid END, moves AND guid = NEW.old_root
    FROM (
        SELECT own.number, own.name, one.moves AND held.table_no > 0 AS moves, CASE WHEN typeof(own.value) = 'text' AND length(own.value) = 36 AND own.value LIKE '________-____-____-____-____________'
            AND length(replace(own.value, '-', '')) = 32 AND own.value NOT GLOB '*[^0-9a-f-]*' THEN own.value
        ELSE (
            SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                    THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
                WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
            FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
            FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
            FROM (SELECT lower(CASE WHEN typeof(own.value) <> 'blob' OR length(own.value) <> 16
                    THEN trim(CAST(own.value AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
                WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(own.value), 7, 2) || substr(hex(own.value), 5, 2) || substr(hex(own.value), 3, 2)
                    || substr(hex(own.value), 1, 2) || substr(hex(own.value), 11, 2) || substr(hex(own.value), 9, 2)
                    || substr(hex(own.value), 15, 2) || substr(hex(own.value), 13, 2) || substr(hex(own.value), 17)
                ELSE hex(own.value) END) AS t)))
        ) END AS guid
        FROM mergeguard_held AS held JOIN mergeguard_moved_columns AS one ON one.table_no = held.table_no AND one.is_guid
        JOIN mergeguard_held_cells AS own ON own.number = held.number AND own.name = one.column_name
    ) WHERE guid IS NOT NULL;
    UPDATE mergeguard_held_guids SET after_value = (
        SELECT CASE WHEN typeof(own.value) = 'blob' THEN (SELECT spelled FROM mergeguard_asked WHERE part = 2 AND typeof(spelled) = 'blob')
            ELSE (
                SELECT substr(own.value, 1, at - 1) || CASE WHEN digits = upper(digits) AND digits <> lower(digits) THEN upper(after) ELSE after END
                    || substr(own.value, at + length(digits))
                FROM (SELECT at, after, substr(own.value, at, length(after)) AS digits FROM (
                    SELECT CASE WHEN hyphens > 0 THEN hyphens ELSE instr(lower(own.value), replace(NEW.old_root, '-', '')) END AS at,
                        CASE WHEN hyphens > 0 THEN NEW.new_root ELSE replace(NEW.new_root, '-', '') END AS after
                    FROM (SELECT instr(lower(own.value), NEW.old_root) AS hyphens)))
            ) END
        FROM mergeguard_held_cells AS own
        WHERE own.number = mergeguard_held_guids.number AND own.name = mergeguard_held_guids.name
    ) WHERE stale;
    UPDATE mergeguard_held SET stale = 1 WHERE number IN (SELECT number FROM mergeguard_held_guids WHERE stale);
    UPDATE mergeguard_held SET itself = EXISTS (
        SELECT 1 FROM mergeguard_moved_ends AS pair
        JOIN mergeguard_held_guids AS parent ON parent.number = mergeguard_held.number AND parent.name = pair.parent_name
        JOIN mergeguard_held_guids AS child ON child.number = mergeguard_held.number AND child.name = pair.child_name
        WHERE pair.table_no = mergeguard_held.table_no AND parent.after_guid = child.after_guid AND parent.guid <> child.guid
    ) WHERE stale;

    INSERT INTO mergeguard_held_classes (table_no, class)
    SELECT table_no, class FROM (
        SELECT own.table_no, coalesce(own.data_class, (
            SELECT coalesce(CASE WHEN typeof(known.class) = 'text' AND length(known.class) = 36 AND known.class LIKE '________-____-____-____-____________'
                AND length(replace(known.class, '-', '')) = 32 AND known.class NOT GLOB '*[^0-9a-f-]*' THEN known.class
            ELSE (
                SELECT CASE WHEN length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'
                        THEN substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
                    WHEN t LIKE '________-____-____-____-____________' AND length(replace(t, '-', '')) = 32 AND t NOT GLOB '*[^0-9a-f-]*' THEN t END
                FROM (SELECT CASE WHEN substr(t, 1, 1) || substr(t, -1) IN ('{}', '()') THEN substr(t, 2, length(t) - 2) ELSE t END AS t
                FROM (SELECT CASE WHEN t LIKE 'urn:uuid:%' THEN substr(t, 10) ELSE t END AS t
                FROM (SELECT lower(CASE WHEN typeof(known.class) <> 'blob' OR length(known.class) <> 16
                        THEN trim(CAST(known.class AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))
                    WHEN (SELECT swapped FROM mergeguard_places) THEN substr(hex(known.class), 7, 2) || substr(hex(known.class), 5, 2) || substr(hex(known.class), 3, 2)
                        || substr(hex(known.class), 1, 2) || substr(hex(known.class), 11, 2) || substr(hex(known.class), 9, 2)
                        || substr(hex(known.class), 15, 2) || substr(hex(known.class), 13, 2) || substr(hex(known.class), 17)
                    ELSE hex(known.class) END) AS t)))
            ) END, nullif(trim(CAST(known.class AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)), ''))
            FROM mergeguard_hash_classes AS known
            WHERE known.name COLLATE NOCASE IN (own.table_name, own.bare_name)
            AND nullif(trim(CAST(known.class AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)), '') IS NOT NULL LIMIT 1
        )) AS class FROM mergeguard_moved_tables AS own WHERE own.table_no > 0
    ) WHERE class IS NOT NULL;
    INSERT INTO mergeguard_classify (part) VALUES (1);
    INSERT INTO mergeguard_date (part) VALUES (1);
    UPDATE mergeguard_held SET (turn, time) = (
        SELECT load.turn, load.time FROM mergeguard_moved_tables AS own
        JOIN mergeguard_held_guids AS owner ON owner.number = mergeguard_held.number AND owner.name = own.single_name
        JOIN mergeguard_loads AS load ON load.table_no = own.table_no AND load.guid = owner.guid
        WHERE own.table_no = mergeguard_held.table_no ORDER BY load.age DESC LIMIT 1
    ) WHERE table_no IN (SELECT table_no FROM mergeguard_moved_tables WHERE single_name IS NOT NULL);
    -- Data that are loaded as a whole: those of the root that was loaded earlier go; what nobody wrote a summary of is older
    -- than all of which there is one.
    UPDATE mergeguard_held SET outdated = coalesce((
        SELECT CASE WHEN owner.guid <> loser THEN 0 WHEN loser = NEW.new_root THEN 1 ELSE 2 END
        FROM mergeguard_moved_tables AS own
        JOIN mergeguard_held_guids AS owner ON owner.number = mergeguard_held.number AND owner.name = own.sets_name
        JOIN (
            SELECT table_no, CASE WHEN max(CASE WHEN guid = NEW.new_root THEN age END) IS NULL
                OR max(CASE WHEN guid = NEW.old_root THEN age END) > max(CASE WHEN guid = NEW.new_root THEN age END)
                THEN NEW.new_root ELSE NEW.old_root END AS loser
            FROM mergeguard_loads GROUP BY table_no
        ) AS lost ON lost.table_no = own.table_no
        WHERE own.table_no = mergeguard_held.table_no
    ), 0) WHERE table_no IN (SELECT table_no FROM mergeguard_moved_tables WHERE sets_name IS NOT NULL);
    -- Tables whose rows hold the new root alone.
    DELETE FROM mergeguard_held WHERE table_no > 0 AND table_no NOT IN (
        SELECT table_no FROM mergeguard_held WHERE outdated > 0
        UNION ALL SELECT held.table_no FROM mergeguard_held AS held JOIN mergeguard_held_guids AS own ON own.number = held.number
        WHERE own.guid = NEW.old_root);
    -- Their numbers are given away again.
    DELETE FROM mergeguard_held_cells WHERE number NOT IN (SELECT number FROM mergeguard_held);
    DELETE FROM mergeguard_held_guids WHERE number NOT IN (SELECT number FROM mergeguard_held);

    UPDATE mergeguard_held SET
        content = (SELECT '[' || coalesce(group_concat('[' || label || ', ' || said || ']', ', '), '') || ']' FROM (
            SELECT own.label, own.said FROM mergeguard_held_cells AS own
            LEFT JOIN mergeguard_moved_columns AS one ON one.table_no = mergeguard_held.table_no AND one.column_name = own.name
            WHERE own.number = mergeguard_held.number AND NOT coalesce(one.names, 0) ORDER BY own.name)),
        named = (SELECT '[' || coalesce(group_concat('[' || label || ', ' || said || ']', ', '), '') || ']' FROM (
            SELECT own.label, own.said FROM mergeguard_held_cells AS own
            JOIN mergeguard_moved_columns AS one ON one.table_no = mergeguard_held.table_no AND one.column_name = own.name
            WHERE own.number = mergeguard_held.number AND one.names ORDER BY own.name)),
        whole = (SELECT '[' || coalesce(group_concat('[' || label || ', ' || said || ']', ', '), '') || ']' FROM (
            SELECT own.label, own.said FROM mergeguard_held_cells AS own
            WHERE own.number = mergeguard_held.number ORDER BY own.name)),
        after_image = (SELECT '{' || group_concat(label || ':' || said) || '}' FROM (
            SELECT own.label, CASE WHEN moved.stale AND typeof(moved.after_value) = 'blob' THEN json_quote('b:' || lower(hex(moved.after_value)))
                WHEN moved.stale THEN json_quote('t:' || moved.after_value) WHEN one.cleared THEN 'null' ELSE own.said END AS said
            FROM mergeguard_held_cells AS own
            LEFT JOIN mergeguard_held_guids AS moved ON moved.number = own.number AND moved.name = own.name
            LEFT JOIN mergeguard_moved_columns AS one ON one.table_no = mergeguard_held.table_no AND one.column_name = own.name
            WHERE own.number = mergeguard_held.number ORDER BY own.place))
    WHERE table_no > 0;
    INSERT INTO mergeguard_held_keys (number, unique_no, said)
    SELECT number, unique_no, said FROM (
        SELECT held.number, rule.unique_no, rule.nulls, (
            SELECT json_group_array(said) FROM (
                SELECT coalesce(own.after_guid, cell.cell) AS said FROM mergeguard_moved_unique AS part
                JOIN mergeguard_held_cells AS cell ON cell.number = held.number AND cell.name = part.column_name
                LEFT JOIN mergeguard_held_guids AS own ON own.number = held.number AND own.name = part.column_name
                WHERE part.table_no = held.table_no AND part.unique_no = rule.unique_no ORDER BY part.place)
        ) AS said, (
            SELECT count(*) FROM mergeguard_moved_unique AS part
            JOIN mergeguard_held_cells AS cell ON cell.number = held.number AND cell.name = part.column_name
            WHERE part.table_no = held.table_no AND part.unique_no = rule.unique_no AND cell.cell IS NULL
        ) AS missing
        FROM mergeguard_held AS held JOIN mergeguard_moved_unique AS rule ON rule.table_no = held.table_no AND rule.place = 1
        WHERE held.outdated = 0
    ) WHERE nulls OR missing = 0;
    -- The newest is the first; of equally new ones the last in the text of its cells.
    UPDATE mergeguard_held SET age = ranked.age, rank = ranked.rank FROM (
        SELECT number, dense_rank() OVER (PARTITION BY table_no ORDER BY turn, time) AS age,
            row_number() OVER (PARTITION BY table_no ORDER BY turn DESC, time DESC, content DESC, named DESC) AS rank
        FROM mergeguard_held WHERE table_no > 0
    ) AS ranked WHERE ranked.number = mergeguard_held.number;

    UPDATE mergeguard_held SET fate = CASE outdated WHEN 1 THEN 'replaced' ELSE 'collapsed' END WHERE outdated > 0;
    UPDATE mergeguard_held SET fate = CASE WHEN itself THEN 'dropped' ELSE 'changed' END
    WHERE table_no > 0 AND stale AND fate IS NULL AND table_no NOT IN (SELECT table_no FROM mergeguard_moved_unique);
    INSERT INTO mergeguard_beat (number, table_no, age)
    SELECT number, table_no, age FROM mergeguard_held WHERE table_no > 0 AND stale AND NOT itself AND fate IS NULL ORDER BY table_no, rank;
    DELETE FROM mergeguard_taken;
    INSERT OR IGNORE INTO mergeguard_taken (table_no, unique_no, said, number)
    SELECT table_no, unique_no, said, number FROM (
        SELECT held.table_no, own.unique_no, own.said, held.number FROM mergeguard_held AS held
        JOIN mergeguard_held_keys AS own ON own.number = held.number
        WHERE held.table_no > 0 AND NOT held.stale AND held.fate IS NULL ORDER BY held.table_no, held.rank);
    INSERT INTO mergeguard_settle (number, table_no, itself)
    SELECT number, table_no, itself FROM mergeguard_held WHERE table_no > 0 AND stale AND fate IS NULL ORDER BY table_no, rank;

    -- Of the links that the new root is the parent of, only as many stay as there may be of each type, the newest.
    UPDATE mergeguard_held SET fate = CASE WHEN fate IS NULL THEN 'replaced' ELSE 'outnumbered' END WHERE number IN (
        SELECT number FROM (
            SELECT number, row_number() OVER (PARTITION BY table_no, kind ORDER BY age DESC, arrived, whole) AS place,
                max(arrived) OVER (PARTITION BY table_no, kind) AS any_arrived, (
                    SELECT CAST(trim(CAST(maximum AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) AS INTEGER) FROM mergeguard_link_maxima
                    WHERE (guid_text IN (kind, upper(kind), replace(kind, '-', ''), upper(replace(kind, '-', '')), '{' || kind || '}', upper('{' || kind || '}'), '{' || replace(kind, '-', '') || '}', upper('{' || replace(kind, '-', '') || '}'))
                        OR typeof(guid_text) = 'blob' AND lower(hex(guid_text)) = CASE WHEN (SELECT swapped FROM mergeguard_places)
                            THEN substr(kind, 7, 2) || substr(kind, 5, 2) || substr(kind, 3, 2) || substr(kind, 1, 2) || substr(kind, 12, 2)
                                || substr(kind, 10, 2) || substr(kind, 17, 2) || substr(kind, 15, 2) || replace(substr(kind, 20), '-', '')
                            ELSE replace(kind, '-', '') END)
                    AND trim(CAST(maximum AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) GLOB '[0-9]*' AND trim(CAST(maximum AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) NOT GLOB '*[^0-9]*' LIMIT 1
                ) AS most
            FROM (
                SELECT held.number, held.table_no, kind.guid AS kind, held.age, held.whole, held.fate IS NOT NULL AS arrived
                FROM mergeguard_moved_tables AS own
                JOIN mergeguard_held AS held ON held.table_no = own.table_no
                JOIN mergeguard_held_guids AS parent ON parent.number = held.number AND parent.name = own.parent_name
                JOIN mergeguard_held_guids AS kind ON kind.number = held.number AND kind.name = own.type_name
                WHERE held.fate IS NULL AND NOT held.stale AND parent.guid = NEW.new_root OR held.fate = 'changed' AND parent.stale
            )
        ) WHERE any_arrived AND most > 0 AND place > most);

    -- Hashes of data that moved: data with an unchanged hash would never be loaded again.
    INSERT INTO mergeguard_ask (guid, part) SELECT DISTINCT guid, 3 FROM mergeguard_touched;
    INSERT INTO mergeguard_find_held (part) VALUES (2);
    INSERT INTO mergeguard_read (part) VALUES (2);
    INSERT INTO mergeguard_classify (part) VALUES (2);
    DELETE FROM mergeguard_held WHERE table_no = -1 AND (NOT EXISTS (
        SELECT 1 FROM mergeguard_hash_place AS place
        JOIN mergeguard_held_cells AS owner ON owner.number = mergeguard_held.number AND owner.name = place.guid_name
        JOIN mergeguard_asked AS known ON known.spelled = owner.value
        JOIN mergeguard_touched AS touched ON touched.guid = known.guid AND touched.class = mergeguard_held.class
        WHERE known.guid <> NEW.old_root OR NOT place.moves
    ) OR image IN (
        SELECT gone.image FROM mergeguard_hash_place AS place JOIN mergeguard_held AS gone ON gone.table_no = place.table_no
        WHERE gone.fate IS NOT NULL));
    UPDATE mergeguard_held SET fate = 'cleared', rank = number, after_image = (
        SELECT '{' || group_concat(label || ':' || said) || '}' FROM (
            SELECT own.label, CASE own.name WHEN place.hash_name THEN 'null' ELSE own.said END AS said
            FROM mergeguard_hash_place AS place, mergeguard_held_cells AS own WHERE own.number = mergeguard_held.number ORDER BY own.place))
    WHERE table_no = -1;
END;

-- Makes the changes, and looks whether the database holds now what it was told.
DROP VIEW IF EXISTS mergeguard_move;
CREATE VIEW mergeguard_move (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_move_insert INSTEAD OF INSERT ON mergeguard_move
BEGIN
    INSERT INTO mergeguard_write_held (part) VALUES (NEW.part);
    -- A row that is found by its key alone stands elsewhere now.
    UPDATE mergeguard_held SET at = (
        SELECT group_concat(quote(value)) FROM (
            SELECT coalesce(moved.after_value, own.value) AS value FROM mergeguard_moved_columns AS one
            JOIN mergeguard_held_cells AS own ON own.number = mergeguard_held.number AND own.name = one.column_name
            LEFT JOIN mergeguard_held_guids AS moved ON moved.number = own.number AND moved.name = own.name
            WHERE one.table_no = mergeguard_held.table_no AND one.key_place IS NOT NULL ORDER BY one.key_place))
    WHERE fate = 'changed' AND table_no IN (SELECT table_no FROM mergeguard_moved_columns WHERE key_place IS NOT NULL);
    UPDATE mergeguard_held SET image = NULL WHERE fate IN ('changed', 'cleared');
    DELETE FROM mergeguard_held_cells;
    INSERT INTO mergeguard_read (part) VALUES (3);
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of a reference; look for triggers on its table')
    FROM mergeguard_held WHERE fate IN ('changed', 'cleared') AND image IS NOT after_image;
    SELECT RAISE(ABORT, 'mergeguard: write: rows of a reference could not be deleted; look for triggers on its table')
    FROM mergeguard_left_held;
END;
