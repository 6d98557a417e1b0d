-- MergeGuard SQL scripts, version 1: sqlite/30_merge.sql
-- Merging: INSERT INTO mergeguard_merge (old_guid, new_guid, request_id) VALUES (...). The request id may be left out.
--
-- One INSERT is one merge, whole or not at all. It is the resources that both guids are now which are merged; where both are
-- one already nothing is done. SQLite lets one connection write at a time and begins to do so before the trigger reads, so
-- nothing can change between what is looked at and what is written; a transaction whose snapshot is older is refused by
-- SQLite itself. Rows of declared references move as 25_survival.sql decides.
-- A walk of 100,000 rows takes some seconds; a short one is found by the index on the old guids alone.

-- All guids on both walks, and the rows between them; empty but for the time of one merge.
DROP TABLE IF EXISTS mergeguard_walk;
CREATE TABLE mergeguard_walk (
    side TEXT NOT NULL,
    guid TEXT NOT NULL,
    cell BLOB,
    is_end INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (side, guid)
) WITHOUT ROWID;
DROP TABLE IF EXISTS mergeguard_walk_rows;
CREATE TABLE mergeguard_walk_rows (
    old TEXT NOT NULL,
    new TEXT NOT NULL,
    PRIMARY KEY (old, new)
) WITHOUT ROWID;
CREATE INDEX mergeguard_walk_rows_new ON mergeguard_walk_rows (new);

-- The longest way from each guid of both walks to its end, for walks that have one.
DROP VIEW IF EXISTS mergeguard_walk_answers;
CREATE VIEW mergeguard_walk_answers (guid, current, depth) AS
WITH RECURSIVE up (guid, current, depth) AS (
    SELECT guid, guid, 0 FROM mergeguard_walk WHERE is_end
    UNION
    SELECT rows.old, up.current, up.depth + 1 FROM up JOIN mergeguard_walk_rows AS rows ON rows.new = up.guid
)
SELECT guid, current, max(depth) FROM up GROUP BY guid, current;

DROP VIEW IF EXISTS mergeguard_merge;
CREATE VIEW mergeguard_merge (old_guid, new_guid, request_id) AS SELECT NULL, NULL, NULL WHERE 0;

CREATE TRIGGER mergeguard_merge_insert INSTEAD OF INSERT ON mergeguard_merge
BEGIN
    -- What is asked for.
    DELETE FROM mergeguard_work;
    DELETE FROM mergeguard_walk;
    DELETE FROM mergeguard_walk_rows;
    -- An INSERT OR REPLACE would go for all that is done here: it would put rows of others out of the way.
    INSERT INTO mergeguard_work (id, said) VALUES (1, 'once');
    INSERT OR IGNORE INTO mergeguard_work (id, said) VALUES (1, 'twice');
    SELECT RAISE(ABORT, 'mergeguard: usage: INSERT INTO, without OR REPLACE') FROM mergeguard_work WHERE said = 'twice';
    DELETE FROM mergeguard_work;
    INSERT INTO mergeguard_work (id, old, new, request_id)
    VALUES (1, (
            SELECT substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            FROM (SELECT lower(replace(replace(replace(trim(NEW.old_guid), '-', ''), '{', ''), '}', '')) AS t)
            WHERE length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'), (
            SELECT substr(t, 1, 8) || '-' || substr(t, 9, 4) || '-' || substr(t, 13, 4) || '-' || substr(t, 17, 4) || '-' || substr(t, 21)
            FROM (SELECT lower(replace(replace(replace(trim(NEW.new_guid), '-', ''), '{', ''), '}', '')) AS t)
            WHERE length(t) = 32 AND t NOT GLOB '*[^0-9a-f]*'), NEW.request_id);
    SELECT RAISE(ABORT, 'mergeguard: usage: what is to be merged is no guid')
    FROM mergeguard_work WHERE old IS NULL OR new IS NULL;
    SELECT RAISE(ABORT, 'mergeguard: usage: a request id has 1 to 64 characters')
    FROM mergeguard_work WHERE length(request_id) NOT BETWEEN 1 AND 64;
    SELECT RAISE(ABORT, 'mergeguard: request-reused: this request id belongs to another merge')
    FROM mergeguard_work AS asked JOIN mergeguard_requests AS known ON known.request_id = asked.request_id
    WHERE json_extract(known.answer, '$.old') <> asked.old OR json_extract(known.answer, '$.new') <> asked.new;
    -- Asked again: it is made once.
    DELETE FROM mergeguard_work WHERE request_id IN (SELECT request_id FROM mergeguard_requests);
    SELECT RAISE(IGNORE) WHERE NOT EXISTS (SELECT 1 FROM mergeguard_work);
    SELECT RAISE(ABORT, 'mergeguard: spelling: guids here are neither all texts in a usual spelling nor all of 16 bytes; this takes ''mergeguard merge''')
    FROM mergeguard_places WHERE NOT can_merge;
    SELECT RAISE(ABORT, 'mergeguard: no-guard: the profile wants the merge table guarded, and its guard is missing; ''mergeguard guard install'' or 80_guard.sql puts it up')
    FROM mergeguard_declared WHERE guarded AND (SELECT count(*) FROM mergeguard_standing_guard) < 2;
    SELECT RAISE(ABORT, 'mergeguard: self-merge: a guid cannot be merged with itself')
    FROM mergeguard_work WHERE old = new;

    -- Both walks; a live guid leads nowhere.
    DELETE FROM mergeguard_asked;
    INSERT INTO mergeguard_ask (guid, part) SELECT old, 1 FROM mergeguard_work;
    INSERT INTO mergeguard_ask (guid, part) SELECT new, 2 FROM mergeguard_work;
    INSERT INTO mergeguard_walk (side, guid, cell)
    SELECT side, guid, cell FROM (
        WITH RECURSIVE walk (side, guid, cell) AS (
            SELECT side, guid, CASE WHEN (SELECT packs FROM mergeguard_places) THEN (
                SELECT spelled FROM mergeguard_asked AS asked WHERE asked.guid = begin.guid AND typeof(spelled) = 'blob'
            ) END FROM (SELECT 'old' AS side, old AS guid FROM mergeguard_work UNION ALL SELECT 'new', new FROM mergeguard_work) AS begin
            UNION
            SELECT walk.side, rows.new_guid, CASE WHEN (SELECT packs FROM mergeguard_places) THEN (
                WITH RECURSIVE byte (at, digits, bytes) AS (
                    SELECT 1, CASE WHEN (SELECT swapped FROM mergeguard_places) THEN substr(rows.new_guid, 7, 2) || substr(rows.new_guid, 5, 2) || substr(rows.new_guid, 3, 2) || substr(rows.new_guid, 1, 2)
                        || substr(rows.new_guid, 12, 2) || substr(rows.new_guid, 10, 2) || substr(rows.new_guid, 17, 2) || substr(rows.new_guid, 15, 2) || replace(substr(rows.new_guid, 20), '-', '')
                    ELSE replace(rows.new_guid, '-', '') END, ''
                    UNION ALL SELECT at + 4, digits, bytes || (
                        substr(every, 16 * instr('0123456789abcdef', substr(digits, at, 1)) + instr('0123456789abcdef', substr(digits, at + 1, 1)) - 16, 1)
                        || substr(every, 16 * instr('0123456789abcdef', substr(digits, at + 2, 1)) + instr('0123456789abcdef', substr(digits, at + 3, 1)) - 16, 1))
                    FROM byte, mergeguard_bytes WHERE at < 32
                ) SELECT CAST(bytes AS BLOB) FROM byte WHERE at = 33
            ) END FROM walk JOIN mergeguard_merge_rows AS rows ON rows.old_text IN (
                walk.guid, upper(walk.guid), replace(walk.guid, '-', ''), upper(replace(walk.guid, '-', '')), '{' || walk.guid || '}', upper('{' || walk.guid || '}'), '{' || replace(walk.guid, '-', '') || '}', upper('{' || replace(walk.guid, '-', '') || '}'), walk.cell)
            WHERE rows.new_guid IS NOT NULL AND walk.guid <> '9203b1a9-5095-5898-a103-971f44c00fa4'
            AND NOT EXISTS (SELECT 1 FROM mergeguard_live_cells AS live WHERE live.guid_text IN (
                walk.guid, upper(walk.guid), replace(walk.guid, '-', ''), upper(replace(walk.guid, '-', '')), '{' || walk.guid || '}', upper('{' || walk.guid || '}'), '{' || replace(walk.guid, '-', '') || '}', upper('{' || replace(walk.guid, '-', '') || '}'), walk.cell))
        ) SELECT side, guid, cell FROM walk
    );
    INSERT OR IGNORE INTO mergeguard_walk_rows (old, new)
    SELECT walk.guid, rows.new_guid FROM (SELECT DISTINCT guid, cell FROM mergeguard_walk) AS walk
    JOIN mergeguard_merge_rows AS rows ON rows.old_text IN (
        walk.guid, upper(walk.guid), replace(walk.guid, '-', ''), upper(replace(walk.guid, '-', '')), '{' || walk.guid || '}', upper('{' || walk.guid || '}'), '{' || replace(walk.guid, '-', '') || '}', upper('{' || replace(walk.guid, '-', '') || '}'), walk.cell)
    WHERE rows.new_guid IS NOT NULL AND walk.guid <> '9203b1a9-5095-5898-a103-971f44c00fa4'
    AND NOT EXISTS (SELECT 1 FROM mergeguard_live_cells AS live WHERE live.guid_text IN (
        walk.guid, upper(walk.guid), replace(walk.guid, '-', ''), upper(replace(walk.guid, '-', '')), '{' || walk.guid || '}', upper('{' || walk.guid || '}'), '{' || replace(walk.guid, '-', '') || '}', upper('{' || replace(walk.guid, '-', '') || '}'), walk.cell));
    UPDATE mergeguard_walk SET is_end = NOT EXISTS (SELECT 1 FROM mergeguard_walk_rows AS rows WHERE rows.old = guid);
    SELECT RAISE(ABORT, 'mergeguard: in-cycle: the merges of the first guid lead in a circle; ''mergeguard plan'' proposes what to do')
    FROM mergeguard_work WHERE NOT EXISTS (SELECT 1 FROM mergeguard_walk WHERE side = 'old' AND is_end) OR EXISTS (
        -- A circle that can be left is left at a guid with several news.
        SELECT 1 FROM (SELECT old AS guid FROM mergeguard_walk_rows GROUP BY old HAVING count(*) > 1) AS fork
        CROSS JOIN mergeguard_walk AS own ON own.side = 'old' AND own.guid = fork.guid
        WHERE fork.guid IN (
            WITH RECURSIVE after (guid) AS (
                SELECT next.new FROM mergeguard_walk_rows AS next WHERE next.old = fork.guid
                UNION SELECT next.new FROM after JOIN mergeguard_walk_rows AS next ON next.old = after.guid
            ) SELECT guid FROM after
        )
    );
    SELECT RAISE(ABORT, 'mergeguard: split: the merges of the first guid lead to two guids at once; ''mergeguard plan'' proposes what to do')
    WHERE (SELECT count(*) FROM mergeguard_walk WHERE side = 'old' AND is_end) > 1;
    SELECT RAISE(ABORT, 'mergeguard: in-cycle: the merges of the second guid lead in a circle; ''mergeguard plan'' proposes what to do')
    FROM mergeguard_work WHERE NOT EXISTS (SELECT 1 FROM mergeguard_walk WHERE side = 'new' AND is_end) OR EXISTS (
        -- A circle that can be left is left at a guid with several news.
        SELECT 1 FROM (SELECT old AS guid FROM mergeguard_walk_rows GROUP BY old HAVING count(*) > 1) AS fork
        CROSS JOIN mergeguard_walk AS own ON own.side = 'new' AND own.guid = fork.guid
        WHERE fork.guid IN (
            WITH RECURSIVE after (guid) AS (
                SELECT next.new FROM mergeguard_walk_rows AS next WHERE next.old = fork.guid
                UNION SELECT next.new FROM after JOIN mergeguard_walk_rows AS next ON next.old = after.guid
            ) SELECT guid FROM after
        )
    );
    SELECT RAISE(ABORT, 'mergeguard: split: the merges of the second guid lead to two guids at once; ''mergeguard plan'' proposes what to do')
    WHERE (SELECT count(*) FROM mergeguard_walk WHERE side = 'new' AND is_end) > 1;
    UPDATE mergeguard_work SET old_root = (SELECT guid FROM mergeguard_walk WHERE side = 'old' AND is_end),
        new_root = (SELECT guid FROM mergeguard_walk WHERE side = 'new' AND is_end);
    DELETE FROM mergeguard_asked;
    INSERT INTO mergeguard_ask (guid, part) SELECT old_root, 1 FROM mergeguard_work;
    INSERT INTO mergeguard_ask (guid, part) SELECT new_root, 2 FROM mergeguard_work;
    UPDATE mergeguard_work SET already = old_root = new_root,
        old_status = CASE WHEN old_root = '9203b1a9-5095-5898-a103-971f44c00fa4' THEN 'deleted' WHEN (SELECT live FROM mergeguard_declared)
            AND NOT EXISTS (SELECT 1 FROM mergeguard_live_cells WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root))
            THEN 'dangling' ELSE 'ok' END,
        new_status = CASE WHEN new_root = '9203b1a9-5095-5898-a103-971f44c00fa4' THEN 'deleted' WHEN (SELECT live FROM mergeguard_declared)
            AND NOT EXISTS (SELECT 1 FROM mergeguard_live_cells WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = new_root))
            THEN 'dangling' ELSE 'ok' END;
    SELECT RAISE(ABORT, 'mergeguard: cycle: the second guid was merged into the first before: this would close a circle')
    FROM mergeguard_work WHERE already AND old = old_root;
    SELECT RAISE(ABORT, 'mergeguard: dead-target: what the second guid is now is not live, or was deleted: nothing can be merged into it')
    FROM mergeguard_work WHERE new_status <> 'ok';
    SELECT RAISE(ABORT, 'mergeguard: unknown-guid: what the first guid is now is not live, or was deleted: there is nothing to merge')
    FROM mergeguard_work WHERE old_status <> 'ok';
    SELECT RAISE(ABORT, 'mergeguard: shadowed-live: a live guid is merged away as well: that merge was never finished; ''mergeguard plan'' proposes what to do')
    FROM mergeguard_work JOIN mergeguard_merge_cells AS rows ON rows.old_text IN (SELECT spelled FROM mergeguard_asked);

    -- Both roots are written, by every merge, as the programs do.
    INSERT INTO mergeguard_roots (guid, turn) SELECT min(old_root, new_root), 1 FROM mergeguard_work;
    INSERT INTO mergeguard_roots (guid, turn) SELECT max(old_root, new_root), 1 FROM mergeguard_work WHERE NOT already;

    -- Both are one before: only the answer is kept.
    INSERT INTO mergeguard_requests (request_id, run_id, answer)
    SELECT request_id, '', json_object('old', old, 'new', new, 'old_root', old_root, 'new_root', new_root, 'already', json('true'),
        'run_id', NULL, 'request_id', request_id, 'repeated', json('false'), 'row', NULL, 'lookup_rows', 0, 'live_rows', 0,
        'hashes_cleared', 0, 'columns', json('{}'), 'notes', json('[]'), 'preview', json('false'), 'refused', NULL)
    FROM mergeguard_work WHERE already AND request_id IS NOT NULL;
    DELETE FROM mergeguard_walk WHERE EXISTS (SELECT 1 FROM mergeguard_work WHERE already);
    DELETE FROM mergeguard_walk_rows WHERE EXISTS (SELECT 1 FROM mergeguard_work WHERE already);
    DELETE FROM mergeguard_asked WHERE EXISTS (SELECT 1 FROM mergeguard_work WHERE already);
    DELETE FROM mergeguard_work WHERE already;
    SELECT RAISE(IGNORE) WHERE NOT EXISTS (SELECT 1 FROM mergeguard_work);

    -- What people, types, the lookup and references forbid.
    SELECT RAISE(ABORT, 'mergeguard: type-mismatch: they are of two types, and only resources of one type can be one')
    FROM mergeguard_work WHERE EXISTS (
        SELECT 1 FROM mergeguard_guid_types AS one JOIN mergeguard_guid_types AS other ON other.type <> one.type
        WHERE one.guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root)
        AND other.guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = new_root));
    SELECT RAISE(ABORT, 'mergeguard: never-merge: somebody wrote down that they must never be merged; see mergeguard_never_pairs')
    FROM mergeguard_work WHERE EXISTS (
        SELECT 1 FROM mergeguard_never_cells AS pair
        LEFT JOIN mergeguard_lookup_rows AS one ON one.old_cell = pair.one_cell
        LEFT JOIN mergeguard_lookup_rows AS other ON other.old_cell = pair.other_cell
        WHERE (coalesce(one.current_guid, pair.one_guid) = old_root AND coalesce(other.current_guid, pair.other_guid) = new_root)
        OR (coalesce(one.current_guid, pair.one_guid) = new_root AND coalesce(other.current_guid, pair.other_guid) = old_root));
    SELECT RAISE(ABORT, 'mergeguard: lookup-drift: the stored lookup does not say what the merges say; ''mergeguard lookup build'' or mergeguard_rebuild_lookup mends it')
    WHERE EXISTS (
        SELECT 1 FROM mergeguard_walk_answers AS walked LEFT JOIN mergeguard_lookup_rows AS said
        ON said.old_cell IN (walked.guid, (SELECT own.cell FROM mergeguard_walk AS own WHERE own.side IN ('old', 'new') AND own.guid = walked.guid))
        WHERE CASE WHEN walked.guid = walked.current THEN said.old_guid IS NOT NULL
            ELSE said.old_guid IS NULL OR said.current_guid IS NOT walked.current OR said.depth IS NOT walked.depth
                OR said.status <> 'ok' END
    ) OR EXISTS (
        SELECT 1 FROM mergeguard_work JOIN mergeguard_merge_rows AS rows ON rows.new_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root)
        LEFT JOIN mergeguard_lookup_rows AS said ON said.old_cell IN (rows.old_guid, rows.old_text)
        WHERE rows.old_guid <> old_root AND (said.old_guid IS NULL
            OR said.status = 'ok' AND said.current_guid <> old_root AND said.current_guid <> said.old_guid));
    INSERT INTO mergeguard_survive (old_root, new_root) SELECT old_root, new_root FROM mergeguard_work;

    -- The merge, spelled as the others are, with its run in the journal.
    UPDATE mergeguard_work SET run_id = lower(hex(randomblob(16))),
        lookup_rows = 1 + (SELECT count(*) FROM mergeguard_lookup_rows WHERE current_cell IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root)),
        live_rows = (SELECT count(*) FROM mergeguard_live_images WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root));
    UPDATE mergeguard_work SET listed = 1 WHERE (SELECT black_list_name FROM mergeguard_places) IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM mergeguard_black_list WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE part = 1))
    AND (NOT (SELECT managed FROM mergeguard_declared) OR EXISTS (
        SELECT 1 FROM mergeguard_managed_cells WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE part = 1)
        AND lower(trim(CAST(managed_text AS TEXT), char(9, 10, 11, 12, 13, 28, 29, 30, 31, 32))) IN ('1', 'true', 't', 'yes', 'y')));
    INSERT INTO mergeguard_merge_cells (old_text, new_text)
    SELECT (
        SELECT CASE WHEN typeof(like_this) = 'blob' THEN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root AND typeof(spelled) = 'blob')
            WHEN like_this LIKE '{%' THEN '{' || t || '}' ELSE t END FROM (
        SELECT CASE WHEN like_this = upper(like_this) AND like_this <> lower(like_this) THEN upper(t) ELSE t END AS t, like_this FROM (
        SELECT CASE WHEN instr(like_this, '-') = 0 THEN replace(old_root, '-', '') ELSE old_root END AS t, like_this FROM (
        SELECT coalesce((SELECT old_text FROM mergeguard_merge_cells LIMIT 1),
            (SELECT guid_text FROM mergeguard_live_cells WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root) LIMIT 1)) AS like_this)))), (
        SELECT CASE WHEN typeof(like_this) = 'blob' THEN (SELECT spelled FROM mergeguard_asked WHERE guid = new_root AND typeof(spelled) = 'blob')
            WHEN like_this LIKE '{%' THEN '{' || t || '}' ELSE t END FROM (
        SELECT CASE WHEN like_this = upper(like_this) AND like_this <> lower(like_this) THEN upper(t) ELSE t END AS t, like_this FROM (
        SELECT CASE WHEN instr(like_this, '-') = 0 THEN replace(new_root, '-', '') ELSE new_root END AS t, like_this FROM (
        SELECT coalesce((SELECT old_text FROM mergeguard_merge_cells LIMIT 1),
            (SELECT guid_text FROM mergeguard_live_cells WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root) LIMIT 1)) AS like_this))))
    FROM mergeguard_work;
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than the merge that it was told; look for triggers on the table')
    FROM mergeguard_work WHERE (SELECT count(*) FROM mergeguard_merge_rows AS rows WHERE rows.old_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root)) <> 1
    OR (SELECT rows.new_guid FROM mergeguard_merge_rows AS rows WHERE rows.old_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root)) IS NOT new_root;
    UPDATE mergeguard_work SET image = (SELECT image FROM mergeguard_merge_images WHERE old_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root));
    INSERT INTO mergeguard_journal_runs (run_id, kind, who, tool_version, started, reason, finished)
    SELECT run_id, 'merge', 'SQL', 'sql 1', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), coalesce('request ' || request_id, ''),
        strftime('%Y-%m-%dT%H:%M:%fZ', 'now') FROM mergeguard_work;
    INSERT INTO mergeguard_journal_changes (run_id, step, place, action, table_name, before_image, after_image)
    SELECT run_id, 1, 0, 'merge', merge_name, NULL, image FROM mergeguard_work, mergeguard_places;
    -- The rows of references, those that go before those that take their place; then hashes, the live row and the black list.
    INSERT INTO mergeguard_journal_changes (run_id, step, place, action, table_name, before_image, after_image)
    SELECT run_id, 1, row_number() OVER (ORDER BY moved.table_no = -1, moved.table_no, moved.phase, moved.rank), moved.action,
        moved.table_name, moved.image, moved.after_image
    FROM mergeguard_work, (
        SELECT held.table_no, CASE WHEN held.fate IS NULL THEN 1 WHEN held.fate IN ('changed', 'cleared') THEN 3 ELSE 2 END AS phase,
            held.rank, own.table_name, held.image,
            CASE WHEN held.fate IS NULL THEN held.image WHEN held.fate IN ('changed', 'cleared') THEN held.after_image END AS after_image,
            CASE WHEN held.fate IS NULL THEN 'keep' WHEN held.fate = 'changed' THEN 're-point' WHEN held.fate = 'cleared' THEN 'clear hash'
                WHEN held.fate = 'dropped' THEN 'drop self-reference' ELSE 'collapse duplicate' END AS action
        FROM mergeguard_held AS held JOIN mergeguard_moved_tables AS own ON own.table_no = max(held.table_no, 0)
        WHERE held.fate IS NOT NULL AND held.table_no <> 0 OR held.number IN (SELECT into_number FROM mergeguard_held WHERE fate = 'collapsed')
    ) AS moved;
    INSERT INTO mergeguard_journal_changes (run_id, step, place, action, table_name, before_image, after_image)
    SELECT run_id, 1, (SELECT count(*) FROM mergeguard_journal_changes AS made WHERE made.run_id = mergeguard_work.run_id) - 1
        + row_number() OVER (ORDER BY gone.image), 'remove', live_name, gone.image, NULL
    FROM mergeguard_work, mergeguard_places JOIN mergeguard_live_images AS gone ON gone.guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root);
    -- While its row still says whether an agent manages it.
    INSERT INTO mergeguard_black_list (guid_text, current_text) SELECT (
        SELECT CASE WHEN typeof(like_this) = 'blob' THEN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root AND typeof(spelled) = 'blob')
            WHEN like_this LIKE '{%' THEN '{' || t || '}' ELSE t END FROM (
        SELECT CASE WHEN like_this = upper(like_this) AND like_this <> lower(like_this) THEN upper(t) ELSE t END AS t, like_this FROM (
        SELECT CASE WHEN instr(like_this, '-') = 0 THEN replace(old_root, '-', '') ELSE old_root END AS t, like_this FROM (
        SELECT (SELECT guid_text FROM mergeguard_live_images WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root) LIMIT 1) AS like_this)))), (
        SELECT CASE WHEN typeof(like_this) = 'blob' THEN (SELECT spelled FROM mergeguard_asked WHERE guid = new_root AND typeof(spelled) = 'blob')
            WHEN like_this LIKE '{%' THEN '{' || t || '}' ELSE t END FROM (
        SELECT CASE WHEN like_this = upper(like_this) AND like_this <> lower(like_this) THEN upper(t) ELSE t END AS t, like_this FROM (
        SELECT CASE WHEN instr(like_this, '-') = 0 THEN replace(new_root, '-', '') ELSE new_root END AS t, like_this FROM (
        SELECT (SELECT guid_text FROM mergeguard_live_images WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE guid = old_root) LIMIT 1) AS like_this))))
    FROM mergeguard_work WHERE listed;
    SELECT RAISE(ABORT, 'mergeguard: write: the agent that was put on the black list is not there; look for triggers on its table')
    FROM mergeguard_work WHERE listed AND 1 <> (
        SELECT count(*) FROM mergeguard_black_list WHERE guid_text IN (SELECT spelled FROM mergeguard_asked WHERE part = 1));
    INSERT INTO mergeguard_journal_changes (run_id, step, place, action, table_name, before_image, after_image)
    SELECT run_id, 1, (SELECT count(*) FROM mergeguard_journal_changes AS made WHERE made.run_id = mergeguard_work.run_id),
        'black-list', black_list_name, NULL, put.image
    FROM mergeguard_work, mergeguard_places JOIN mergeguard_black_list AS put ON put.guid_text IN (SELECT spelled FROM mergeguard_asked WHERE part = 1)
    WHERE listed;
    UPDATE mergeguard_work SET columns = coalesce((
        SELECT json_group_object(name, json_object('rows', changed + dropped + collapsed + outnumbered, 'changed', changed,
            'dropped', dropped, 'collapsed', collapsed, 'outnumbered', outnumbered, 'replaced', replaced))
        FROM mergeguard_account), '{}'), hashes_cleared = (SELECT count(*) FROM mergeguard_held WHERE fate = 'cleared');
    UPDATE mergeguard_work SET said = json_array(run_id, 1, 'merge:' || old_root, '["merge"]', '["' || old_root || '"]', new_root, 'ordered',
        '[' || image || ']') || (
        SELECT group_concat(json_array(place, action, table_name, before_image, after_image), '') FROM (
            SELECT place, action, table_name, before_image, after_image FROM mergeguard_journal_changes AS made
            WHERE made.run_id = mergeguard_work.run_id ORDER BY place));
    UPDATE mergeguard_work SET said = CASE WHEN said GLOB '*[^ -~]*' THEN (
        WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(said))
        SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
            ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
        FROM (SELECT unicode(substr(said, at, 1)) AS code FROM place)
    ) ELSE said END;
    INSERT INTO mergeguard_journal_steps (run_id, step, component, kinds, members, confidence, why, guard_after, evidence, happened,
        digest, survivor)
    SELECT run_id, 1, 'merge:' || old_root, '["merge"]', '["' || old_root || '"]', 'ordered',
        old || ' was to be merged into ' || new, '[' || image || ']', json_object('columns', json(coalesce((
            SELECT json_group_object(key, json_extract(value, '$.rows')) FROM json_each(columns)), '{}'))), strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        (SELECT digest FROM mergeguard_digest), new_root
    FROM mergeguard_work;

    -- The rows move; the old resource is live no more, and its whole class leads to the new one.
    INSERT INTO mergeguard_move (part) SELECT 1 WHERE EXISTS (SELECT 1 FROM mergeguard_held WHERE fate IS NOT NULL);
    DELETE FROM mergeguard_live_images WHERE guid_text IN (SELECT spelled FROM mergeguard_work JOIN mergeguard_asked ON guid = old_root);
    UPDATE mergeguard_lookup_rows SET current_guid = (SELECT new_root FROM mergeguard_work), depth = depth + 1
    WHERE current_cell IN (SELECT spelled FROM mergeguard_work JOIN mergeguard_asked ON guid = old_root);
    INSERT INTO mergeguard_lookup_rows (old_guid, current_guid, depth, status) SELECT old_root, new_root, 1, 'ok' FROM mergeguard_work;
    INSERT INTO mergeguard_requests (request_id, run_id, answer)
    SELECT request_id, run_id, json_object('old', old, 'new', new, 'old_root', old_root, 'new_root', new_root,
        'already', json('false'), 'run_id', run_id, 'request_id', request_id, 'repeated', json('false'), 'row', json(image),
        'lookup_rows', lookup_rows, 'live_rows', live_rows, 'hashes_cleared', hashes_cleared, 'columns', json(columns),
        'notes', json('[]'), 'preview', json('false'), 'refused', NULL)
    FROM mergeguard_work WHERE request_id IS NOT NULL;
    DELETE FROM mergeguard_work;
    DELETE FROM mergeguard_walk;
    DELETE FROM mergeguard_walk_rows;
    DELETE FROM mergeguard_asked;
    DELETE FROM mergeguard_held;
    DELETE FROM mergeguard_held_cells;
    DELETE FROM mergeguard_held_guids;
    DELETE FROM mergeguard_held_keys;
    DELETE FROM mergeguard_taken;
    DELETE FROM mergeguard_held_classes;
END;
