-- MergeGuard SQL scripts, version 1: sqlite/50_lookup.sql
-- The lookup anew: INSERT INTO mergeguard_rebuild_lookup DEFAULT VALUES. The install fills one that is empty.

DROP VIEW IF EXISTS mergeguard_rebuild_lookup;
CREATE VIEW mergeguard_rebuild_lookup (olds) AS SELECT count(*) FROM mergeguard_lookup_rows;

CREATE TRIGGER mergeguard_rebuild_lookup_insert INSTEAD OF INSERT ON mergeguard_rebuild_lookup
BEGIN
    SELECT RAISE(ABORT, 'mergeguard: spelling: guids here are neither all texts in a usual spelling nor all of 16 bytes; this takes ''mergeguard lookup build''')
    FROM mergeguard_places WHERE NOT can_merge;
    DELETE FROM mergeguard_lookup_rows;
    INSERT INTO mergeguard_lookup_rows (old_guid, current_guid, depth, status)
    SELECT guid, current, depth, status FROM mergeguard_current_guids ORDER BY guid;
END;

INSERT INTO mergeguard_lookup_rows (old_guid, current_guid, depth, status)
SELECT guid, current, depth, status FROM mergeguard_current_guids
WHERE (SELECT can_merge FROM mergeguard_places) AND NOT EXISTS (SELECT 1 FROM mergeguard_lookup_rows)
ORDER BY guid;
