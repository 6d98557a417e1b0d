-- MergeGuard SQL scripts, version 1: sqlite/40_unmerge.sql
-- Taking a merge back: INSERT INTO mergeguard_unmerge (run_id) VALUES (...), with the run that the journal names. Its row goes,
-- the old resource is live again, and the lookup is worked out anew for all that led to it: one pass over all merges.
-- A merge that moved rows of references is taken back by 'mergeguard undo'. It is journalled as an undo, by either way.

DROP VIEW IF EXISTS mergeguard_unmerge;
CREATE VIEW mergeguard_unmerge (run_id) AS SELECT NULL WHERE 0;

CREATE TRIGGER mergeguard_unmerge_insert INSTEAD OF INSERT ON mergeguard_unmerge
BEGIN
    DELETE FROM mergeguard_work;
    DELETE FROM mergeguard_walk;
    SELECT RAISE(ABORT, 'mergeguard: spelling: guids here are not texts in a usual spelling; this takes ''mergeguard undo''')
    FROM mergeguard_places WHERE NOT can_merge;
    SELECT RAISE(ABORT, 'mergeguard: unknown-run: the journal knows no merge of this run')
    WHERE NOT EXISTS (SELECT 1 FROM mergeguard_journal_runs WHERE run_id = NEW.run_id AND kind = 'merge');
    SELECT RAISE(ABORT, 'mergeguard: undone: the run was taken back before')
    WHERE NOT EXISTS (SELECT 1 FROM mergeguard_journal_steps WHERE run_id = NEW.run_id AND step = 1 AND undone_by IS NULL);
    SELECT RAISE(ABORT, 'mergeguard: references: the merge changed more than its row and the live one; ''mergeguard undo'' takes it back')
    FROM mergeguard_journal_changes AS made JOIN mergeguard_places WHERE made.run_id = NEW.run_id
    AND NOT (made.action = 'merge' AND made.table_name = merge_name OR made.action = 'remove' AND made.table_name = live_name);
    SELECT RAISE(ABORT, 'mergeguard: references: the live row holds a blob or a float; ''mergeguard undo'' takes the merge back')
    FROM mergeguard_journal_changes AS made JOIN json_each(made.before_image) AS cell
    WHERE made.run_id = NEW.run_id AND substr(cell.value, 1, 2) NOT IN ('i:', 't:');
    INSERT INTO mergeguard_work (id, run_id, old_root, new_root, image, request_id)
    SELECT 1, lower(hex(randomblob(16))), json_extract(step.members, '$[0]'), step.survivor, made.after_image, NEW.run_id
    FROM mergeguard_journal_steps AS step JOIN mergeguard_journal_changes AS made
    ON made.run_id = step.run_id AND made.step = 1 AND made.action = 'merge'
    WHERE step.run_id = NEW.run_id AND step.step = 1;
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
    FROM mergeguard_work WHERE (SELECT count(*) FROM mergeguard_merge_cells AS rows WHERE rows.old_text IN (
        old_root, upper(old_root), replace(old_root, '-', ''), upper(replace(old_root, '-', '')), '{' || old_root || '}', upper('{' || old_root || '}'), '{' || replace(old_root, '-', '') || '}', upper('{' || replace(old_root, '-', '') || '}'))) <> 1
    OR image IS NOT (SELECT rows.image FROM mergeguard_merge_images AS rows WHERE rows.old_text IN (
        old_root, upper(old_root), replace(old_root, '-', ''), upper(replace(old_root, '-', '')), '{' || old_root || '}', upper('{' || old_root || '}'), '{' || replace(old_root, '-', '') || '}', upper('{' || replace(old_root, '-', '') || '}')));
    SELECT RAISE(ABORT, 'mergeguard: stale: the old resource is live already')
    FROM mergeguard_work JOIN mergeguard_live_cells AS live ON live.guid_text IN (
        old_root, upper(old_root), replace(old_root, '-', ''), upper(replace(old_root, '-', '')), '{' || old_root || '}', upper('{' || old_root || '}'), '{' || replace(old_root, '-', '') || '}', upper('{' || replace(old_root, '-', '') || '}'));

    INSERT INTO mergeguard_walk (side, guid) SELECT 'up', guid FROM (
        WITH RECURSIVE up (guid) AS (
            SELECT old_root FROM mergeguard_work
            UNION SELECT rows.old_guid FROM up JOIN mergeguard_merge_rows AS rows ON rows.new_text IN (
                up.guid, upper(up.guid), replace(up.guid, '-', ''), upper(replace(up.guid, '-', '')), '{' || up.guid || '}', upper('{' || up.guid || '}'), '{' || replace(up.guid, '-', '') || '}', upper('{' || replace(up.guid, '-', '') || '}'))
            WHERE rows.old_guid IS NOT NULL
        ) SELECT guid FROM up
    );
    INSERT INTO mergeguard_roots (guid, turn) SELECT min(old_root, new_root), 1 FROM mergeguard_work;
    INSERT INTO mergeguard_roots (guid, turn) SELECT max(old_root, new_root), 1 FROM mergeguard_work;
    INSERT INTO mergeguard_journal_runs (run_id, kind, who, tool_version, started, reason, finished, undoes)
    SELECT run_id, 'undo', 'SQL', 'sql 1', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), '', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'),
        request_id FROM mergeguard_work;
    UPDATE mergeguard_journal_steps SET undone_by = (SELECT run_id FROM mergeguard_work)
    WHERE run_id = NEW.run_id AND step = 1;
    DELETE FROM mergeguard_merge_cells WHERE old_text IN (SELECT value FROM mergeguard_work, json_each(json_array(
        old_root, upper(old_root), replace(old_root, '-', ''), upper(replace(old_root, '-', '')), '{' || old_root || '}', upper('{' || old_root || '}'), '{' || replace(old_root, '-', '') || '}', upper('{' || replace(old_root, '-', '') || '}'))));
    INSERT INTO mergeguard_live_images (guid_text, image)
    SELECT NULL, before_image FROM mergeguard_journal_changes WHERE run_id = NEW.run_id AND action = 'remove' ORDER BY place;
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told; look for triggers on the tables')
    FROM mergeguard_work WHERE EXISTS (SELECT 1 FROM mergeguard_merge_cells AS rows WHERE rows.old_text IN (
        old_root, upper(old_root), replace(old_root, '-', ''), upper(replace(old_root, '-', '')), '{' || old_root || '}', upper('{' || old_root || '}'), '{' || replace(old_root, '-', '') || '}', upper('{' || replace(old_root, '-', '') || '}'))) OR EXISTS (
        SELECT 1 FROM mergeguard_journal_changes AS made WHERE made.run_id = NEW.run_id AND made.action = 'remove'
        AND made.before_image NOT IN (SELECT image FROM mergeguard_live_images AS live WHERE live.guid_text IN (
            old_root, upper(old_root), replace(old_root, '-', ''), upper(replace(old_root, '-', '')), '{' || old_root || '}', upper('{' || old_root || '}'), '{' || replace(old_root, '-', '') || '}', upper('{' || replace(old_root, '-', '') || '}'))));
    DELETE FROM mergeguard_lookup_rows WHERE old_guid IN (SELECT guid FROM mergeguard_walk);
    INSERT INTO mergeguard_lookup_rows (old_guid, current_guid, depth, status)
    SELECT guid, current, depth, status FROM mergeguard_current_guids WHERE guid IN (SELECT guid FROM mergeguard_walk);
    DELETE FROM mergeguard_work;
    DELETE FROM mergeguard_walk;
END;
