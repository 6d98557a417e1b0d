-- MergeGuard SQL scripts, version 1: sqlite/60_findings.sql
-- The findings of 'mergeguard scan': INSERT INTO mergeguard_scan DEFAULT VALUES, then SELECT * FROM mergeguard_findings.
-- A scan works in tables of its own, in one transaction, and changes nothing else: SQLite works each part of a query out anew
-- wherever it is named, so that one view of all this could not be had. mergeguard_scan tells when the last one was.

DROP VIEW IF EXISTS mergeguard_rules_checked;
CREATE VIEW mergeguard_rules_checked (rule, name, severity, checked) AS
SELECT r.column1, r.column2, r.column3, CASE r.column4 WHEN 'live' THEN d.live WHEN 'types' THEN d.types
    WHEN 'times' THEN d.times WHEN 'refs' THEN d.refs ELSE 1 END
FROM mergeguard_declared AS d CROSS JOIN (VALUES
    ('MG001', 'cycle', 'error', ''),
    ('MG002', 'self-merge', 'error', ''),
    ('MG003', 'split', 'error', ''),
    ('MG004', 'dangling', 'warning', 'live'),
    ('MG005', 'shadowed-live', 'error', 'live'),
    ('MG006', 'type-mismatch', 'error', 'types'),
    ('MG007', 'malformed-guid', 'error', ''),
    ('MG008', 'empty-guid', 'error', ''),
    ('MG009', 'lookup-drift', 'error', ''),
    ('MG010', 'stale-reference', 'warning', 'refs'),
    ('MG011', 'flip-flop', 'warning', 'times'),
    ('MG012', 'cycle-tree', 'warning', ''),
    ('MG013', 'chain', 'info', ''),
    ('MG014', 'redundant', 'info', '')
) AS r;

-- Rows that are no merge, because one of their cells is no guid.
DROP VIEW IF EXISTS mergeguard_bad_rows;
CREATE VIEW mergeguard_bad_rows (row_id, place, said, blank) AS
SELECT row_id, place, said, trim(coalesce(CAST(said AS TEXT), ''), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32)) = ''
FROM (SELECT row_id, CASE WHEN old_guid IS NULL THEN 'old' ELSE 'new' END AS place,
        CASE WHEN old_guid IS NULL THEN old_text ELSE new_text END AS said
    FROM mergeguard_merge_rows WHERE old_guid IS NULL OR new_guid IS NULL);

-- What a scan works in; empty but for its time.
DROP TABLE IF EXISTS mergeguard_scan_pairs;
CREATE TABLE mergeguard_scan_pairs (o TEXT NOT NULL, n TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (o, n)) WITHOUT ROWID;
CREATE INDEX mergeguard_scan_pairs_n ON mergeguard_scan_pairs (n);
DROP TABLE IF EXISTS mergeguard_scan_olds;
CREATE TABLE mergeguard_scan_olds (o TEXT PRIMARY KEY, ways INTEGER NOT NULL, others INTEGER NOT NULL, times INTEGER NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_raw;
CREATE TABLE mergeguard_scan_raw (o TEXT PRIMARY KEY, status TEXT NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_now;
CREATE TABLE mergeguard_scan_now (o TEXT PRIMARY KEY, current TEXT, depth INTEGER, status TEXT NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_live;
CREATE TABLE mergeguard_scan_live (g TEXT PRIMARY KEY) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_types;
CREATE TABLE mergeguard_scan_types (g TEXT PRIMARY KEY, type TEXT NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_stops;
CREATE TABLE mergeguard_scan_stops (g TEXT PRIMARY KEY, stop TEXT NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_lap;
CREATE TABLE mergeguard_scan_lap (g TEXT PRIMARY KEY, number INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX mergeguard_scan_lap_number ON mergeguard_scan_lap (number);
DROP TABLE IF EXISTS mergeguard_scan_hop;
CREATE TABLE mergeguard_scan_hop (number INTEGER PRIMARY KEY, next INTEGER NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_head;
CREATE TABLE mergeguard_scan_head (number INTEGER PRIMARY KEY) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_jump;
CREATE TABLE mergeguard_scan_jump (fork TEXT NOT NULL, n TEXT NOT NULL, stop TEXT NOT NULL, PRIMARY KEY (fork, n)) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_reach;
CREATE TABLE mergeguard_scan_reach (fork TEXT NOT NULL, stop TEXT NOT NULL, PRIMARY KEY (fork, stop)) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_knot;
CREATE TABLE mergeguard_scan_knot (fork TEXT PRIMARY KEY, name TEXT NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_member;
CREATE TABLE mergeguard_scan_member (name TEXT NOT NULL, g TEXT NOT NULL, ring TEXT, PRIMARY KEY (name, g)) WITHOUT ROWID;
CREATE INDEX mergeguard_scan_member_g ON mergeguard_scan_member (g);
DROP TABLE IF EXISTS mergeguard_scan_ring;
CREATE TABLE mergeguard_scan_ring (ring TEXT PRIMARY KEY, members INTEGER NOT NULL, down INTEGER NOT NULL) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_inside;
CREATE TABLE mergeguard_scan_inside (ring TEXT NOT NULL, o TEXT NOT NULL, n TEXT NOT NULL, times INTEGER NOT NULL, PRIMARY KEY (o, n)) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_scan_stored;
CREATE TABLE mergeguard_scan_stored (o TEXT, known TEXT, fits INTEGER NOT NULL, place INTEGER NOT NULL);
DROP TABLE IF EXISTS mergeguard_scan_belongs;
CREATE TABLE mergeguard_scan_belongs (rule TEXT NOT NULL, name TEXT NOT NULL, g TEXT NOT NULL, PRIMARY KEY (rule, name, g)) WITHOUT ROWID;

DROP TABLE IF EXISTS mergeguard_scan_found;
CREATE TABLE mergeguard_scan_found (rule TEXT NOT NULL, name TEXT, guid TEXT, guids TEXT, rows INTEGER, detail TEXT NOT NULL);

DROP VIEW IF EXISTS mergeguard_scan;
CREATE VIEW mergeguard_scan (scanned) AS SELECT name FROM mergeguard_scan_found WHERE rule = '';

-- One row a finding. "guid" is what it is about, "guids" the first 50 of all that belongs to it, "rows" how many rows or guids
-- say so.
DROP VIEW IF EXISTS mergeguard_findings;
CREATE VIEW mergeguard_findings (rule, name, severity, guid, guids, rows, detail) AS
SELECT found.rule, checked.name, checked.severity, found.guid, found.guids, found.rows, found.detail
FROM mergeguard_scan_found AS found JOIN mergeguard_rules_checked AS checked ON checked.rule = found.rule
ORDER BY found.rule, found.guid, found.detail;

CREATE TRIGGER mergeguard_scan_insert INSTEAD OF INSERT ON mergeguard_scan
BEGIN
    DELETE FROM mergeguard_scan_pairs;
    DELETE FROM mergeguard_scan_olds;
    DELETE FROM mergeguard_scan_raw;
    DELETE FROM mergeguard_scan_now;
    DELETE FROM mergeguard_scan_live;
    DELETE FROM mergeguard_scan_types;
    DELETE FROM mergeguard_scan_stops;
    DELETE FROM mergeguard_scan_lap;
    DELETE FROM mergeguard_scan_hop;
    DELETE FROM mergeguard_scan_head;
    DELETE FROM mergeguard_scan_jump;
    DELETE FROM mergeguard_scan_reach;
    DELETE FROM mergeguard_scan_knot;
    DELETE FROM mergeguard_scan_member;
    DELETE FROM mergeguard_scan_ring;
    DELETE FROM mergeguard_scan_inside;
    DELETE FROM mergeguard_scan_stored;
    DELETE FROM mergeguard_scan_belongs;
    DELETE FROM mergeguard_scan_found;
    INSERT INTO mergeguard_scan_pairs (o, n, times)
    SELECT old_guid, new_guid, count(*) FROM mergeguard_merge_rows
    WHERE old_guid IS NOT NULL AND new_guid IS NOT NULL GROUP BY old_guid, new_guid;
    INSERT INTO mergeguard_scan_olds (o, ways, others, times) SELECT o, count(*), sum(o <> n), sum(times) FROM mergeguard_scan_pairs GROUP BY o;
    INSERT INTO mergeguard_scan_raw (o, status) SELECT guid, status FROM mergeguard_raw_guids;
    INSERT INTO mergeguard_scan_now (o, current, depth, status) SELECT guid, current, depth, status FROM mergeguard_current_guids;
    INSERT INTO mergeguard_scan_live (g) SELECT DISTINCT guid FROM mergeguard_live_guids WHERE guid IS NOT NULL;
    INSERT INTO mergeguard_scan_types (g, type) SELECT guid, min(type) FROM mergeguard_guid_types
    WHERE guid IS NOT NULL AND type IS NOT NULL GROUP BY guid HAVING min(type) = max(type);

    -- Circles: strongly connected components of two guids or more. From each end, and from each old with several news (a fork),
    -- all is numbered backwards that leads there by single rows; what is never reached leads into a circle without a fork.
    INSERT INTO mergeguard_scan_stops (g, stop) SELECT g, stop FROM (
        WITH RECURSIVE up (g, stop) AS (
            SELECT n, n FROM (SELECT DISTINCT n FROM mergeguard_scan_pairs WHERE o <> n AND n NOT IN (SELECT o FROM mergeguard_scan_olds WHERE others > 0))
            UNION ALL SELECT o, o FROM mergeguard_scan_olds WHERE others > 1
            UNION ALL SELECT pair.o, up.stop FROM up JOIN mergeguard_scan_pairs AS pair ON pair.n = up.g AND pair.o <> pair.n
                JOIN mergeguard_scan_olds AS old ON old.o = pair.o AND old.others = 1
        ) SELECT g, stop FROM up);
    -- The guids of such circles get numbers in no order. From each of them the rows are followed until a smaller number comes, or
    -- the same: that one is the smallest of a circle. On average few steps are made from each, whatever the rows.
    INSERT INTO mergeguard_scan_lap (g, number) SELECT old.o, row_number() OVER (ORDER BY random()) FROM mergeguard_scan_olds AS old
    WHERE old.others = 1 AND old.o NOT IN (SELECT g FROM mergeguard_scan_stops);
    INSERT INTO mergeguard_scan_hop (number, next) SELECT own.number, next.number FROM mergeguard_scan_lap AS own
    JOIN mergeguard_scan_pairs AS pair ON pair.o = own.g AND pair.n <> pair.o JOIN mergeguard_scan_lap AS next ON next.g = pair.n;
    INSERT INTO mergeguard_scan_head (number) SELECT start FROM (
        WITH RECURSIVE lap (start, at) AS (
            SELECT number, next FROM mergeguard_scan_hop
            UNION SELECT lap.start, hop.next FROM lap JOIN mergeguard_scan_hop AS hop ON hop.number = lap.at WHERE lap.at > lap.start
        ) SELECT start FROM lap WHERE at = start);
    INSERT INTO mergeguard_scan_member (name, g) SELECT CAST(circle.start AS TEXT), own.g FROM (
        WITH RECURSIVE circle (start, at) AS (
            SELECT number, number FROM mergeguard_scan_head
            UNION SELECT circle.start, hop.next FROM circle JOIN mergeguard_scan_hop AS hop ON hop.number = circle.at
        ) SELECT start, at FROM circle) AS circle JOIN mergeguard_scan_lap AS own ON own.number = circle.at;
    -- Circles with forks: forks that reach one another, and what lies between them.
    INSERT INTO mergeguard_scan_jump (fork, n, stop) SELECT pair.o, pair.n, stops.stop FROM mergeguard_scan_olds AS old JOIN mergeguard_scan_pairs AS pair ON pair.o = old.o AND pair.n <> pair.o
    JOIN mergeguard_scan_stops AS stops ON stops.g = pair.n JOIN mergeguard_scan_olds AS other ON other.o = stops.stop AND other.others > 1 WHERE old.others > 1;
    INSERT INTO mergeguard_scan_reach (fork, stop) SELECT fork, stop FROM (
        WITH RECURSIVE reach (fork, stop) AS (
            SELECT fork, stop FROM mergeguard_scan_jump
            UNION SELECT reach.fork, jump.stop FROM reach JOIN mergeguard_scan_jump AS jump ON jump.fork = reach.stop
        ) SELECT fork, stop FROM reach);
    INSERT INTO mergeguard_scan_knot (fork, name) SELECT there.fork, min(there.stop) FROM mergeguard_scan_reach AS there JOIN mergeguard_scan_reach AS back
    ON back.fork = there.stop AND back.stop = there.fork GROUP BY there.fork;
    INSERT OR IGNORE INTO mergeguard_scan_member (name, g) SELECT name, fork FROM mergeguard_scan_knot;
    INSERT OR IGNORE INTO mergeguard_scan_member (name, g) SELECT name, g FROM (
        WITH RECURSIVE arc (name, g) AS (
            SELECT knot.name, jump.n FROM mergeguard_scan_knot AS knot JOIN mergeguard_scan_jump AS jump ON jump.fork = knot.fork
            JOIN mergeguard_scan_knot AS other ON other.fork = jump.stop AND other.name = knot.name
            UNION SELECT arc.name, pair.n FROM arc JOIN mergeguard_scan_olds AS old ON old.o = arc.g AND old.others = 1
            JOIN mergeguard_scan_pairs AS pair ON pair.o = arc.g AND pair.n <> pair.o
        ) SELECT name, g FROM arc);
    UPDATE mergeguard_scan_member SET ring = (SELECT min(own.g) FROM mergeguard_scan_member AS own WHERE own.name = mergeguard_scan_member.name)
    WHERE g IN (SELECT first.g FROM mergeguard_scan_member AS first WHERE first.name = mergeguard_scan_member.name ORDER BY first.g LIMIT 1);
    UPDATE mergeguard_scan_member SET ring = (SELECT named.ring FROM mergeguard_scan_member AS named WHERE named.name = mergeguard_scan_member.name AND named.ring IS NOT NULL)
    WHERE ring IS NULL;
    INSERT INTO mergeguard_scan_ring (ring, members, down) SELECT first.ring, first.members, behind.down FROM (
        SELECT ring, count(*) AS members FROM mergeguard_scan_member GROUP BY ring) AS first JOIN (
        WITH RECURSIVE behind (ring, g) AS (
            SELECT ring, g FROM mergeguard_scan_member
            UNION SELECT behind.ring, pair.o FROM behind JOIN mergeguard_scan_pairs AS pair ON pair.n = behind.g
        ) SELECT ring, count(*) AS down FROM behind GROUP BY ring) AS behind ON behind.ring = first.ring;
    INSERT INTO mergeguard_scan_inside (ring, o, n, times) SELECT own.ring, pair.o, pair.n, pair.times FROM mergeguard_scan_member AS own
    JOIN mergeguard_scan_pairs AS pair ON pair.o = own.g AND pair.n <> pair.o JOIN mergeguard_scan_member AS other ON other.g = pair.n AND other.ring = own.ring;

    INSERT INTO mergeguard_scan_stored (o, known, fits, place) SELECT o, known, fits, row_number() OVER (PARTITION BY o ORDER BY fits DESC) FROM (
        SELECT said.old_guid AS o, now.o AS known, now.o IS NOT NULL AND now.current IS said.current_guid
            AND now.depth IS said.depth AND now.status IS said.status AS fits
        FROM mergeguard_lookup_rows AS said LEFT JOIN mergeguard_scan_now AS now ON now.o = said.old_guid);

    -- What the rules find, and which guids belong to each finding.
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG001', ring.ring, ring.ring, (SELECT sum(times) FROM mergeguard_scan_inside AS inside WHERE inside.ring = ring.ring),
        members || ' guids lead in a circle, ' || down || ' into it' FROM mergeguard_scan_ring AS ring;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG001', ring, g FROM mergeguard_scan_member;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG002', o, o, times, 'the guid is merged into itself' FROM mergeguard_scan_pairs WHERE o = n;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG002', o, o FROM mergeguard_scan_pairs WHERE o = n;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG003', old.o, old.o, old.times, 'one old, ' || old.ways || ' news'
    FROM mergeguard_scan_olds AS old JOIN mergeguard_scan_raw AS raw ON raw.o = old.o WHERE old.ways > 1 AND raw.status = 'split';
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG003', pair.o, pair.n FROM mergeguard_scan_raw AS raw JOIN mergeguard_scan_pairs AS pair ON pair.o = raw.o WHERE raw.status = 'split';
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG003', o, o FROM mergeguard_scan_raw WHERE status = 'split';
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG004', current, current, count(*), 'olds lead to a guid that is not live'
    FROM mergeguard_scan_now WHERE status = 'dangling' GROUP BY current;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG004', current, o FROM mergeguard_scan_now WHERE status = 'dangling';
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG005', o, o, sum(times), 'a live guid is merged away'
    FROM mergeguard_scan_pairs WHERE o <> n AND o IN (SELECT g FROM mergeguard_scan_live) GROUP BY o;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG005', o, n FROM mergeguard_scan_pairs WHERE o <> n AND o IN (SELECT g FROM mergeguard_scan_live);
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG005', guid, guid FROM mergeguard_scan_found WHERE rule = 'MG005';
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG006', pair.o || ' ' || pair.n, pair.o, pair.times, 'a ' || one.type || ' is merged into a ' || other.type
    FROM mergeguard_scan_pairs AS pair JOIN mergeguard_scan_types AS one ON one.g = pair.o JOIN mergeguard_scan_types AS other ON other.g = pair.n
    WHERE one.type <> other.type;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG007', NULL, NULL, 1, 'row ' || row_id || ': ' || place || ' holds ''' || substr(CAST(said AS TEXT), 1, 100)
        || ''', which is no guid' FROM mergeguard_bad_rows WHERE NOT blank;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG008', NULL, NULL, 1, 'row ' || row_id || ': ' || place || ' is ' || CASE WHEN said IS NULL THEN 'NULL' ELSE 'blank' END
    FROM mergeguard_bad_rows WHERE blank;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG008', o || ' ' || n, o, times, 'the all-zero guid' FROM mergeguard_scan_pairs
    WHERE '00000000-0000-0000-0000-000000000000' IN (o, n);
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG009', o, o, 1, CASE WHEN known IS NULL THEN 'the lookup holds a row for a guid that no row merges away'
        WHEN place > 1 THEN 'the lookup holds another row for an old that has one'
        ELSE 'the lookup gives another answer than the rows' END
    FROM mergeguard_scan_stored WHERE o IS NOT NULL AND (known IS NULL OR place > 1 OR NOT fits);
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG009', o, o, 1, 'the lookup has no row for this old'
    FROM mergeguard_scan_now WHERE o NOT IN (SELECT o FROM mergeguard_scan_stored WHERE o IS NOT NULL);
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG009', guid, guid FROM mergeguard_scan_found WHERE rule = 'MG009';
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG009', NULL, NULL, count(*), 'rows of the lookup have no guid as old'
    FROM mergeguard_scan_stored WHERE o IS NULL HAVING count(*) > 0;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG010', refers.reference, NULL, count(*), refers.reference || ' holds merged-away guids'
    FROM mergeguard_reference_guids AS refers WHERE refers.guid IN (
        SELECT o FROM mergeguard_scan_olds WHERE others > 0 AND o NOT IN (SELECT g FROM mergeguard_scan_live)) GROUP BY refers.reference;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG010', refers.reference, refers.guid FROM mergeguard_reference_guids AS refers WHERE refers.guid IN (
        SELECT o FROM mergeguard_scan_olds WHERE others > 0 AND o NOT IN (SELECT g FROM mergeguard_scan_live));
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG011', one.o || ' ' || one.n, one.o, one.times + other.times, 'merged in both directions'
    FROM mergeguard_scan_inside AS one JOIN mergeguard_scan_inside AS other ON other.o = one.n AND other.n = one.o WHERE one.o < one.n;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG012', ring, ring, down - members, 'guids lead into this cycle' FROM mergeguard_scan_ring WHERE down > members;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT 'MG012', member.ring, member.g FROM mergeguard_scan_ring AS ring JOIN mergeguard_scan_member AS member ON member.ring = ring.ring
    WHERE ring.down > ring.members;
    -- Those that are about a pair.
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT rule, name, substr(name, 1, 36) FROM mergeguard_scan_found WHERE rule IN ('MG006', 'MG008', 'MG011') AND name IS NOT NULL;
    INSERT OR IGNORE INTO mergeguard_scan_belongs (rule, name, g)
    SELECT rule, name, substr(name, 38) FROM mergeguard_scan_found WHERE rule IN ('MG006', 'MG008', 'MG011') AND name IS NOT NULL;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG013', NULL, NULL, sum(times), 'rows lead to a guid that was itself merged away'
    FROM mergeguard_scan_pairs WHERE o <> n AND n IN (SELECT o FROM mergeguard_scan_olds) HAVING count(*) > 0;
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT 'MG014', NULL, NULL, copies + agreeing, copies || ' exact copies, ' || agreeing || ' olds with several news and one current'
    FROM (SELECT (SELECT coalesce(sum(times) - count(*), 0) FROM mergeguard_scan_pairs) AS copies,
        (SELECT count(*) FROM mergeguard_scan_olds AS old JOIN mergeguard_scan_raw AS raw ON raw.o = old.o
            WHERE old.ways > 1 AND raw.status IN ('ok', 'deleted')) AS agreeing) WHERE copies + agreeing > 0;
    DELETE FROM mergeguard_scan_found WHERE rule NOT IN (SELECT rule FROM mergeguard_rules_checked WHERE checked);
    UPDATE mergeguard_scan_found SET guids = (SELECT group_concat(g, ' ') FROM (
        SELECT g FROM mergeguard_scan_belongs AS own WHERE own.rule = mergeguard_scan_found.rule AND own.name = mergeguard_scan_found.name ORDER BY g LIMIT 50));
    INSERT INTO mergeguard_scan_found (rule, name, guid, rows, detail)
    SELECT '', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), NULL, 0, 'when';
    DELETE FROM mergeguard_scan_pairs;
    DELETE FROM mergeguard_scan_olds;
    DELETE FROM mergeguard_scan_raw;
    DELETE FROM mergeguard_scan_now;
    DELETE FROM mergeguard_scan_live;
    DELETE FROM mergeguard_scan_types;
    DELETE FROM mergeguard_scan_stops;
    DELETE FROM mergeguard_scan_lap;
    DELETE FROM mergeguard_scan_hop;
    DELETE FROM mergeguard_scan_head;
    DELETE FROM mergeguard_scan_jump;
    DELETE FROM mergeguard_scan_reach;
    DELETE FROM mergeguard_scan_knot;
    DELETE FROM mergeguard_scan_member;
    DELETE FROM mergeguard_scan_ring;
    DELETE FROM mergeguard_scan_inside;
    DELETE FROM mergeguard_scan_stored;
    DELETE FROM mergeguard_scan_belongs;
END;
