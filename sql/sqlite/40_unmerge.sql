-- MergeGuard SQL scripts, version 1: sqlite/40_unmerge.sql
-- Taking a merge back: INSERT INTO mergeguard_unmerge (run_id) VALUES (...), with the run that the journal names. All rows are as
-- they were before, byte for byte: references, hashes, the live one, the black list. Where one of them is not as the merge left it
-- nothing is taken back. The lookup is worked out anew for all that led to the old resource: one pass over all merges.
-- It is journalled as an undo, whoever made the merge; 'mergeguard undo' does the same.

-- The cells of the change that is being taken back: 'at' what finds its row now, 'then' what is to stand there. Empty but for
-- the time of one unmerge.
DROP TABLE IF EXISTS mergeguard_back_cells;
CREATE TABLE mergeguard_back_cells (
    side TEXT NOT NULL,
    name TEXT NOT NULL,
    cell TEXT,
    value,
    PRIMARY KEY (side, name)
) WITHOUT ROWID;

-- Turns cells as the journal has them into what a column holds. A float is made of whole numbers and powers of two, none of which
-- is ever rounded.
DROP VIEW IF EXISTS mergeguard_decode_back;
CREATE VIEW mergeguard_decode_back (side) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_decode_back_insert INSTEAD OF INSERT ON mergeguard_decode_back
BEGIN
    UPDATE mergeguard_back_cells SET value = CASE substr(cell, 1, 2) WHEN 'i:' THEN CAST(substr(cell, 3) AS INTEGER)
    WHEN 't:' THEN substr(cell, 3)
    WHEN 'r:' THEN (
        WITH RECURSIVE part (body, sign) AS (
            SELECT ltrim(substr(cell, 3), '-'), CASE substr(cell, 3, 1) WHEN '-' THEN -1.0 ELSE 1.0 END
        ), digit (rest, m) AS (
            SELECT substr(body, 5, instr(body, 'p') - 5), 0 FROM part
            UNION ALL SELECT substr(rest, 2), 16 * m + instr('0123456789abcdef', substr(rest, 1, 1)) - 1 FROM digit WHERE rest <> ''
        ), scale (v, e) AS (
            SELECT CAST(substr(body, 3, 1) AS REAL) + m / 4503599627370496.0, CAST(substr(body, instr(body, 'p') + 1) AS INTEGER)
            FROM part, digit WHERE rest = ''
            UNION ALL SELECT CASE WHEN e >= 16 THEN v * 65536.0 WHEN e > 0 THEN v * 2.0 WHEN e <= -16 THEN v / 65536.0 ELSE v / 2.0 END,
                CASE WHEN e >= 16 THEN e - 16 WHEN e > 0 THEN e - 1 WHEN e <= -16 THEN e + 16 ELSE e + 1 END FROM scale WHERE e <> 0
        )
        SELECT sign * CASE body WHEN 'inf' THEN 9e999 ELSE (SELECT v FROM scale WHERE e = 0) END FROM part
    )
    ELSE (
        SELECT CASE substr(cell, 1, 2) WHEN 'x:' THEN CAST(bytes AS TEXT) ELSE bytes END
        FROM (SELECT coalesce(substr(CAST(bytes AS BLOB), 1, length(cell) / 2 - 1), x'') AS bytes FROM (
            WITH RECURSIVE piece (at, bytes) AS (
                SELECT 3, '' UNION ALL SELECT at + 1024, bytes || (
                    WITH RECURSIVE pair (rest, bytes) AS (
                        SELECT substr(cell || '00', at, 1024), ''
                        UNION ALL SELECT substr(rest, 5), bytes || (
                            substr(every, 16 * instr('0123456789abcdef', substr(rest, 1, 1)) + instr('0123456789abcdef', substr(rest, 2, 1)) - 16, 1)
                            || substr(every, 16 * instr('0123456789abcdef', substr(rest, 3, 1)) + instr('0123456789abcdef', substr(rest, 4, 1)) - 16, 1))
                        FROM pair, mergeguard_bytes WHERE length(rest) >= 4
                    ) SELECT bytes FROM pair WHERE length(rest) < 4)
                FROM piece WHERE at <= length(cell)
            ) SELECT bytes FROM piece WHERE at > length(cell)))
    ) END
    WHERE side = NEW.side AND cell IS NOT NULL;
END;

-- Reads the row that stands now where an image says: mergeguard_held has it, without an image where there is none.
DROP VIEW IF EXISTS mergeguard_look_back;
CREATE VIEW mergeguard_look_back (table_no, image) AS SELECT NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_look_back_insert INSTEAD OF INSERT ON mergeguard_look_back
BEGIN
    DELETE FROM mergeguard_held;
    DELETE FROM mergeguard_held_cells;
    DELETE FROM mergeguard_back_cells WHERE side = 'at';
    INSERT INTO mergeguard_back_cells (side, name, cell)
    SELECT 'at', own.column_name, told.value FROM mergeguard_back_columns AS own
    JOIN json_each(NEW.image) AS told ON told.key = own.column_name WHERE own.table_no = NEW.table_no AND own.is_key;
    INSERT INTO mergeguard_decode_back (side) VALUES ('at');
    INSERT INTO mergeguard_held (number, table_no, at) VALUES (1, NEW.table_no, 0);
    INSERT INTO mergeguard_read_back (table_no) VALUES (NEW.table_no);
    INSERT INTO mergeguard_say (part) VALUES (1);
END;

-- Takes one change back: the row must be as the change left it, and is then as it was before. A zero has no sign here.
DROP VIEW IF EXISTS mergeguard_take_back;
CREATE VIEW mergeguard_take_back (table_no, before_image, after_image) AS SELECT NULL, NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_take_back_insert INSTEAD OF INSERT ON mergeguard_take_back
BEGIN
    INSERT INTO mergeguard_look_back (table_no, image) VALUES (NEW.table_no, coalesce(NEW.after_image, NEW.before_image));
    INSERT INTO mergeguard_refuse_back (table_no, why)
    SELECT NEW.table_no, CASE WHEN NEW.after_image IS NULL THEN 'stands' ELSE 'changed' END FROM mergeguard_held
    WHERE replace(image, ':"r:-0x0.0p+0"', ':"r:0x0.0p+0"') IS NOT replace(NEW.after_image, ':"r:-0x0.0p+0"', ':"r:0x0.0p+0"');
    DELETE FROM mergeguard_back_cells WHERE side = 'then';
    INSERT INTO mergeguard_back_cells (side, name, cell)
    SELECT 'then', told.key, told.value FROM json_each(NEW.before_image) AS told
    WHERE NEW.after_image IS NULL OR told.value IS NOT (SELECT now.value FROM json_each(NEW.after_image) AS now WHERE now.key = told.key);
    INSERT INTO mergeguard_refuse_back (table_no, why) SELECT NEW.table_no, 'altered' WHERE NEW.after_image IS NULL AND (
        SELECT count(*) FROM mergeguard_back_columns AS own JOIN mergeguard_back_cells AS told
        ON told.side = 'then' AND told.name = own.column_name WHERE own.table_no = NEW.table_no
    ) <> max((SELECT count(*) FROM mergeguard_back_columns AS own WHERE own.table_no = NEW.table_no),
        (SELECT count(*) FROM mergeguard_back_cells WHERE side = 'then'));
    INSERT INTO mergeguard_refuse_back (table_no, why) SELECT NEW.table_no, 'unknown' WHERE NEW.after_image IS NOT NULL AND EXISTS (
        SELECT 1 FROM mergeguard_back_cells AS told WHERE told.side = 'then' AND told.name NOT IN (
            SELECT own.column_name FROM mergeguard_back_columns AS own WHERE own.table_no = NEW.table_no AND own.is_written));
    INSERT INTO mergeguard_decode_back (side) VALUES ('then');
    INSERT INTO mergeguard_write_back (table_no, action)
    SELECT NEW.table_no, CASE WHEN NEW.after_image IS NULL THEN 'put back' WHEN NEW.before_image IS NULL THEN 'take out' ELSE 'set back' END
    WHERE NEW.before_image IS NOT NEW.after_image;
    INSERT INTO mergeguard_look_back (table_no, image)
    SELECT NEW.table_no, coalesce(NEW.before_image, NEW.after_image) WHERE NEW.before_image IS NOT NEW.after_image;
    INSERT INTO mergeguard_refuse_back (table_no, why)
    SELECT NEW.table_no, 'write' FROM mergeguard_held
    WHERE replace(image, ':"r:-0x0.0p+0"', ':"r:0x0.0p+0"') IS NOT replace(NEW.before_image, ':"r:-0x0.0p+0"', ':"r:0x0.0p+0"');
END;

DROP VIEW IF EXISTS mergeguard_unmerge;
CREATE VIEW mergeguard_unmerge (run_id) AS SELECT NULL WHERE 0;

CREATE TRIGGER mergeguard_unmerge_insert INSTEAD OF INSERT ON mergeguard_unmerge
BEGIN
    DELETE FROM mergeguard_work;
    DELETE FROM mergeguard_walk;
    -- An INSERT OR REPLACE would go for all that is done here: it would put rows of others out of the way.
    INSERT INTO mergeguard_work (id, said) VALUES (1, 'once');
    INSERT OR IGNORE INTO mergeguard_work (id, said) VALUES (1, 'twice');
    SELECT RAISE(ABORT, 'mergeguard: usage: INSERT INTO, without OR REPLACE') FROM mergeguard_work WHERE said = 'twice';
    DELETE FROM mergeguard_work;
    SELECT RAISE(ABORT, 'mergeguard: spelling: guids here are neither all texts in a usual spelling nor all of 16 bytes; this takes ''mergeguard undo''')
    FROM mergeguard_places WHERE NOT can_merge;
    SELECT RAISE(ABORT, 'mergeguard: unknown-run: the journal knows no merge of this run')
    WHERE NOT EXISTS (SELECT 1 FROM mergeguard_journal_runs WHERE run_id = NEW.run_id AND kind = 'merge');
    SELECT RAISE(ABORT, 'mergeguard: undone: the run was taken back before')
    WHERE NOT EXISTS (SELECT 1 FROM mergeguard_journal_steps WHERE run_id = NEW.run_id AND step = 1 AND undone_by IS NULL);
    SELECT RAISE(ABORT, 'mergeguard: references: the merge changed a table that the profile does not declare, or in which nothing tells rows apart; ''mergeguard undo'' may take it back')
    FROM mergeguard_journal_changes AS made LEFT JOIN mergeguard_back_tables AS own ON own.table_name = made.table_name
    WHERE made.run_id = NEW.run_id AND (own.table_no IS NULL OR made.before_image IS NULL AND NOT own.grows);
    INSERT INTO mergeguard_work (id, run_id, old_root, new_root, image, request_id)
    SELECT 1, lower(hex(randomblob(16))), json_extract(step.members, '$[0]'), step.survivor, made.after_image, NEW.run_id
    FROM mergeguard_journal_steps AS step JOIN mergeguard_journal_changes AS made
    ON made.run_id = step.run_id AND made.step = 1 AND made.action = 'merge'
    WHERE step.run_id = NEW.run_id AND step.step = 1;
    DELETE FROM mergeguard_asked;
    INSERT INTO mergeguard_ask (guid, part) SELECT old_root, 1 FROM mergeguard_work;
    INSERT INTO mergeguard_ask (guid, part) SELECT new_root, 2 FROM mergeguard_work;
    -- Neither the journal nor the rows may have changed since.
    UPDATE mergeguard_work SET said = (
        SELECT json_array(run_id, step, component, kinds, members, survivor, confidence, guard_after) FROM mergeguard_journal_steps
        WHERE run_id = NEW.run_id AND step = 1) || (
        SELECT group_concat(json_array(place, action, table_name, before_image, after_image), '') FROM (
            SELECT place, action, table_name, before_image, after_image FROM mergeguard_journal_changes AS made
            WHERE made.run_id = NEW.run_id ORDER BY place));
    UPDATE mergeguard_work SET said = CASE WHEN said GLOB '*[^ -~]*' THEN (
        WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(said))
        SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
            ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
        FROM (SELECT unicode(substr(said, at, 1)) AS code FROM place)
    ) ELSE said END;
    SELECT RAISE(ABORT, 'mergeguard: journal-damaged: the step was altered in the journal after it was written')
    WHERE (SELECT digest FROM mergeguard_digest) IS NOT (
        SELECT digest FROM mergeguard_journal_steps WHERE run_id = NEW.run_id AND step = 1);
    SELECT RAISE(ABORT, 'mergeguard: stale: the row of the merge is not as the run left it, or is not alone')
    FROM mergeguard_work WHERE (SELECT count(*) FROM mergeguard_merge_cells AS rows WHERE rows.old_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root)) <> 1
    OR image IS NOT (SELECT rows.image FROM mergeguard_merge_images AS rows WHERE rows.old_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root));
    SELECT RAISE(ABORT, 'mergeguard: stale: the old resource is live already')
    FROM mergeguard_work JOIN mergeguard_live_cells AS live ON EXISTS (
        SELECT 1 FROM mergeguard_journal_changes AS made WHERE made.run_id = NEW.run_id AND made.action = 'remove'
    ) AND live.guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root);

    INSERT INTO mergeguard_walk (side, guid, cell) SELECT 'up', guid, cell FROM (
        WITH RECURSIVE up (guid, cell) AS (
            SELECT old_root, CASE WHEN (SELECT packs FROM mergeguard_places) THEN (
                SELECT spelled FROM mergeguard_asked WHERE guid = old_root AND typeof(spelled) = 'blob'
            ) END FROM mergeguard_work
            UNION SELECT rows.old_guid, CASE WHEN (SELECT packs FROM mergeguard_places) THEN (
                WITH RECURSIVE byte (at, digits, bytes) AS (
                    SELECT 1, CASE WHEN (SELECT swapped FROM mergeguard_places) THEN substr(rows.old_guid, 7, 2) || substr(rows.old_guid, 5, 2) || substr(rows.old_guid, 3, 2) || substr(rows.old_guid, 1, 2)
                        || substr(rows.old_guid, 12, 2) || substr(rows.old_guid, 10, 2) || substr(rows.old_guid, 17, 2) || substr(rows.old_guid, 15, 2) || replace(substr(rows.old_guid, 20), '-', '')
                    ELSE replace(rows.old_guid, '-', '') END, ''
                    UNION ALL SELECT at + 4, digits, bytes || (
                        substr(every, 16 * instr('0123456789abcdef', substr(digits, at, 1)) + instr('0123456789abcdef', substr(digits, at + 1, 1)) - 16, 1)
                        || substr(every, 16 * instr('0123456789abcdef', substr(digits, at + 2, 1)) + instr('0123456789abcdef', substr(digits, at + 3, 1)) - 16, 1))
                    FROM byte, mergeguard_bytes WHERE at < 32
                ) SELECT CAST(bytes AS BLOB) FROM byte WHERE at = 33
            ) END FROM up JOIN mergeguard_merge_rows AS rows ON rows.new_text IN (
                up.guid, upper(up.guid), replace(up.guid, '-', ''), upper(replace(up.guid, '-', '')), '{' || up.guid || '}', upper('{' || up.guid || '}'), '{' || replace(up.guid, '-', '') || '}', upper('{' || replace(up.guid, '-', '') || '}'), up.cell)
            WHERE rows.old_guid IS NOT NULL
        ) SELECT guid, cell FROM up
    );
    INSERT INTO mergeguard_roots (guid, turn) SELECT min(old_root, new_root), 1 FROM mergeguard_work;
    INSERT INTO mergeguard_roots (guid, turn) SELECT max(old_root, new_root), 1 FROM mergeguard_work;
    INSERT INTO mergeguard_journal_runs (run_id, kind, who, tool_version, started, reason, finished, undoes)
    SELECT run_id, 'undo', 'SQL', 'sql 1', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), '', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        request_id FROM mergeguard_work;
    UPDATE mergeguard_journal_steps SET undone_by = (SELECT run_id FROM mergeguard_work)
    WHERE run_id = NEW.run_id AND step = 1;
    -- The last change first, as they stand on one another.
    INSERT INTO mergeguard_take_back (table_no, before_image, after_image)
    SELECT own.table_no, made.before_image, made.after_image FROM mergeguard_journal_changes AS made
    JOIN mergeguard_back_tables AS own ON own.table_name = made.table_name
    WHERE made.run_id = NEW.run_id AND made.step = 1 ORDER BY made.place DESC;
    DELETE FROM mergeguard_lookup_rows WHERE old_cell IN (SELECT guid FROM mergeguard_walk UNION ALL SELECT cell FROM mergeguard_walk);
    INSERT INTO mergeguard_lookup_rows (old_guid, current_guid, depth, status)
    SELECT guid, current, depth, status FROM mergeguard_current_guids WHERE guid IN (SELECT guid FROM mergeguard_walk);
    DELETE FROM mergeguard_work;
    DELETE FROM mergeguard_walk;
    DELETE FROM mergeguard_asked;
    DELETE FROM mergeguard_held;
    DELETE FROM mergeguard_held_cells;
    DELETE FROM mergeguard_back_cells;
END;
