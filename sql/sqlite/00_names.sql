-- MergeGuard SQL scripts, version 1: sqlite/00_names.sql
-- The names of the vendor's tables, as views; nothing else knows them. The names here are those of the reference schema:
-- edit what stands between the marks, or let 'mergeguard sql show' render this file from a profile.
-- The vendor's tables are not altered. Needs SQLite 3.38 or later: JSON, and results that are worked out once a query.

-- Our own tables, beside the vendor's; the programs of MergeGuard use the same ones.

CREATE TABLE IF NOT EXISTS /*{runs*/"mergeguard_run"/*}*/ (
    run_id VARCHAR(32) NOT NULL,
    kind VARCHAR(64) NOT NULL,
    who TEXT NOT NULL,
    tool_version VARCHAR(64) NOT NULL,
    started TEXT NOT NULL,
    reason TEXT NOT NULL,
    finished TEXT,
    undoes VARCHAR(32),
    PRIMARY KEY (run_id)
);
CREATE TABLE IF NOT EXISTS /*{steps*/"mergeguard_step"/*}*/ (
    run_id VARCHAR(32) NOT NULL,
    step INTEGER NOT NULL,
    component TEXT NOT NULL,
    kinds TEXT NOT NULL,
    members TEXT NOT NULL,
    confidence VARCHAR(64) NOT NULL,
    why TEXT NOT NULL,
    guard_after TEXT NOT NULL,
    evidence TEXT NOT NULL,
    happened TEXT NOT NULL,
    digest VARCHAR(64) NOT NULL,
    survivor VARCHAR(64),
    undone_by VARCHAR(32),
    PRIMARY KEY (run_id, step)
);
CREATE TABLE IF NOT EXISTS /*{changes*/"mergeguard_change"/*}*/ (
    run_id VARCHAR(32) NOT NULL,
    step INTEGER NOT NULL,
    place INTEGER NOT NULL,
    action VARCHAR(64) NOT NULL,
    table_name TEXT NOT NULL,
    before_image TEXT,
    after_image TEXT,
    PRIMARY KEY (run_id, step, place)
);
CREATE TABLE IF NOT EXISTS /*{roots*/"mergeguard_root"/*}*/ (
    "guid" /*{guid_type*/TEXT/*}*/ NOT NULL,
    "turn" BIGINT NOT NULL,
    PRIMARY KEY ("guid")
);
CREATE TABLE IF NOT EXISTS /*{never*/"mergeguard_never"/*}*/ (
    "one_guid" /*{guid_type*/TEXT/*}*/ NOT NULL,
    "other_guid" /*{guid_type*/TEXT/*}*/ NOT NULL,
    "who" TEXT,
    "why" TEXT,
    PRIMARY KEY ("one_guid", "other_guid")
);
CREATE TABLE IF NOT EXISTS /*{requests*/"mergeguard_request"/*}*/ (
    "request_id" VARCHAR(64) NOT NULL,
    "run_id" VARCHAR(32) NOT NULL,
    "answer" TEXT NOT NULL,
    PRIMARY KEY ("request_id")
);
CREATE TABLE IF NOT EXISTS /*{lookup*/"mergeguard_lookup"/*}*/ (
    /*{lookup_old*/"old_guid"/*}*/ /*{guid_type*/TEXT/*}*/ NOT NULL,
    /*{lookup_current*/"current_guid"/*}*/ /*{guid_type*/TEXT/*}*/,
    /*{lookup_depth*/"depth"/*}*/ INTEGER,
    /*{lookup_status*/"status"/*}*/ TEXT NOT NULL,
    PRIMARY KEY (/*{lookup_old*/"old_guid"/*}*/)
) WITHOUT ROWID;
-- Without it each merge reads the whole lookup.
CREATE INDEX IF NOT EXISTS /*{lookup_index*/"IX_mergeguard_lookup_current_guid"/*}*/ ON /*{lookup*/"mergeguard_lookup"/*}*/ (/*{lookup_current*/"current_guid"/*}*/);

-- The vendor's tables. Beside each guid stands its cell as it is, by which an index finds it.

DROP VIEW IF EXISTS mergeguard_merge_cells;
CREATE VIEW mergeguard_merge_cells (row_id, old_text, new_text, merged_at) AS
SELECT /*{row_id*/CAST("Id" AS TEXT)/*}*/, /*{old*/"OldGuid"/*}*/, /*{new*/"NewGuid"/*}*/, /*{merged_at*/"MergedAt"/*}*/ FROM /*{merge_table*/"ResourceMerge"/*}*/;

-- One row a live guid, whole tables or a query.
DROP VIEW IF EXISTS mergeguard_live_cells;
CREATE VIEW mergeguard_live_cells (guid_text) AS
/*{live*/SELECT "Guid" FROM "ItemResource"/*}*/;

DROP VIEW IF EXISTS mergeguard_type_cells;
CREATE VIEW mergeguard_type_cells (guid_text, type_text) AS
/*{types*/SELECT "Guid", "ResourceTypeGuid" FROM "Item"/*}*/;

-- One row a cell of all declared reference columns.
DROP VIEW IF EXISTS mergeguard_reference_cells;
CREATE VIEW mergeguard_reference_cells (reference, guid_text) AS
/*{references*/SELECT 'ResourceKey.ResourceGuid', "ResourceGuid" FROM "ResourceKey"
UNION ALL SELECT 'ResourceUpdateSummary.ResourceGuid', "ResourceGuid" FROM "ResourceUpdateSummary"
UNION ALL SELECT 'Inv_Identification._ResourceGuid', "_ResourceGuid" FROM "Inv_Identification"
UNION ALL SELECT 'Inv_InstalledSoftware._ResourceGuid', "_ResourceGuid" FROM "Inv_InstalledSoftware"
UNION ALL SELECT 'Inv_InstalledSoftware._SoftwareComponentGuid', "_SoftwareComponentGuid" FROM "Inv_InstalledSoftware"
UNION ALL SELECT 'Evt_Software_Execution._ResourceGuid', "_ResourceGuid" FROM "Evt_Software_Execution"
UNION ALL SELECT 'ResourceAssociation.ParentResourceGuid', "ParentResourceGuid" FROM "ResourceAssociation"
UNION ALL SELECT 'ResourceAssociation.ChildResourceGuid', "ChildResourceGuid" FROM "ResourceAssociation"/*}*/;

-- Those that a merge would re-point: the keys too, and not the row that is the resource itself.
DROP VIEW IF EXISTS mergeguard_moving_cells;
CREATE VIEW mergeguard_moving_cells (reference, guid_text) AS
/*{moving*/SELECT 'ResourceUpdateSummary.ResourceGuid', "ResourceGuid" FROM "ResourceUpdateSummary"
UNION ALL SELECT 'ResourceKey.ResourceGuid', "ResourceGuid" FROM "ResourceKey"
UNION ALL SELECT 'Inv_Identification._ResourceGuid', "_ResourceGuid" FROM "Inv_Identification"
UNION ALL SELECT 'Inv_InstalledSoftware._ResourceGuid', "_ResourceGuid" FROM "Inv_InstalledSoftware"
UNION ALL SELECT 'Inv_InstalledSoftware._SoftwareComponentGuid', "_SoftwareComponentGuid" FROM "Inv_InstalledSoftware"
UNION ALL SELECT 'Evt_Software_Execution._ResourceGuid', "_ResourceGuid" FROM "Evt_Software_Execution"
UNION ALL SELECT 'ResourceAssociation.ParentResourceGuid', "ParentResourceGuid" FROM "ResourceAssociation"
UNION ALL SELECT 'ResourceAssociation.ChildResourceGuid', "ChildResourceGuid" FROM "ResourceAssociation"/*}*/;

DROP VIEW IF EXISTS mergeguard_declared;
CREATE VIEW mergeguard_declared (live, types, times, refs, deleted) AS
SELECT /*{has_live*/1/*}*/, /*{has_types*/1/*}*/, /*{has_times*/1/*}*/, /*{has_references*/1/*}*/, /*{has_deleted*/0/*}*/;

-- What a merge writes. can_merge: all guids are texts in a spelling that an index finds; others are read and not written.
-- swapped: guids of 16 bytes stand in the order of SQL Server.
DROP VIEW IF EXISTS mergeguard_places;
CREATE VIEW mergeguard_places (merge_name, live_name, can_merge, swapped) AS
SELECT /*{merge_name*/'ResourceMerge'/*}*/, /*{live_name*/'ItemResource'/*}*/, /*{can_merge*/1/*}*/, /*{swapped*/0/*}*/;

-- Values of the new that mean "deleted, no successor"; those that are guids have one.
DROP VIEW IF EXISTS mergeguard_deleted_values;
CREATE VIEW mergeguard_deleted_values (value, guid) AS
/*{deleted*/SELECT NULL, NULL WHERE 0/*}*/;

-- Rows as the journal keeps them: JSON of ASCII letters alone, each cell with its kind. NULL for a row with a cell of a
-- kind that SQL cannot write as the programs do.

DROP VIEW IF EXISTS mergeguard_merge_images;
CREATE VIEW mergeguard_merge_images (old_text, new_text, image) AS
SELECT old_text, new_text, CASE WHEN image GLOB '*[^ -~]*' THEN (
    WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(image))
    SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
        ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
    FROM (SELECT unicode(substr(image, at, 1)) AS code FROM place)
) ELSE image END
FROM (SELECT /*{old*/"OldGuid"/*}*/ AS old_text, /*{new*/"NewGuid"/*}*/ AS new_text, (SELECT CASE WHEN sum(typeof(value) = 'real' OR typeof(value) = 'text' AND instr(CAST(value AS BLOB), x'00') > 0) = 0
            THEN json_group_object(name, CASE typeof(value) WHEN 'integer' THEN 'i:' || value WHEN 'text' THEN 't:' || value
                WHEN 'blob' THEN 'b:' || lower(hex(value)) END) END
        FROM (/*{merge_cells*/SELECT 'Id' AS name, "Id" AS value UNION ALL SELECT 'OldGuid' AS name, "OldGuid" AS value UNION ALL SELECT 'NewGuid' AS name, "NewGuid" AS value UNION ALL SELECT 'MergedAt' AS name, "MergedAt" AS value UNION ALL SELECT 'MergeKey' AS name, "MergeKey" AS value/*}*/)) AS image
    FROM /*{merge_table*/"ResourceMerge"/*}*/);

DROP VIEW IF EXISTS mergeguard_live_images;
CREATE VIEW mergeguard_live_images (guid_text, image) AS
SELECT guid_text, CASE WHEN image GLOB '*[^ -~]*' THEN (
    WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(image))
    SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
        ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
    FROM (SELECT unicode(substr(image, at, 1)) AS code FROM place)
) ELSE image END
FROM (SELECT /*{live_guid*/"Guid"/*}*/ AS guid_text, (SELECT CASE WHEN sum(typeof(value) = 'real' OR typeof(value) = 'text' AND instr(CAST(value AS BLOB), x'00') > 0) = 0
            THEN json_group_object(name, CASE typeof(value) WHEN 'integer' THEN 'i:' || value WHEN 'text' THEN 't:' || value
                WHEN 'blob' THEN 'b:' || lower(hex(value)) END) END
        FROM (/*{live_cells*/SELECT 'rowid' AS name, "rowid" AS value UNION ALL SELECT 'Guid' AS name, "Guid" AS value UNION ALL SELECT 'IsManaged' AS name, "IsManaged" AS value UNION ALL SELECT 'Status' AS name, "Status" AS value/*}*/)) AS image
    FROM /*{live_table*/"ItemResource"/*}*/);

CREATE TRIGGER mergeguard_merge_cells_insert INSTEAD OF INSERT ON mergeguard_merge_cells
BEGIN
    /*{insert_merge*/INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (NEW.old_text, NEW.new_text, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))/*}*/;
END;

CREATE TRIGGER mergeguard_merge_cells_delete INSTEAD OF DELETE ON mergeguard_merge_cells
BEGIN
    /*{delete_merge*/DELETE FROM "ResourceMerge" WHERE "OldGuid" = OLD.old_text/*}*/;
END;

CREATE TRIGGER mergeguard_live_images_delete INSTEAD OF DELETE ON mergeguard_live_images
BEGIN
    /*{delete_live*/DELETE FROM "ItemResource" WHERE "Guid" = OLD.guid_text/*}*/;
END;

CREATE TRIGGER mergeguard_live_images_insert INSTEAD OF INSERT ON mergeguard_live_images
BEGIN
    /*{insert_live*/INSERT INTO "ItemResource" ("rowid", "Guid", "IsManaged", "Status") SELECT max(value) FILTER (WHERE name = 'rowid'), max(value) FILTER (WHERE name = 'Guid'), max(value) FILTER (WHERE name = 'IsManaged'), max(value) FILTER (WHERE name = 'Status')/*}*/
    FROM (SELECT key AS name, CASE substr(value, 1, 2) WHEN 'i:' THEN CAST(substr(value, 3) AS INTEGER)
        WHEN 't:' THEN substr(value, 3) END AS value FROM json_each(NEW.image));
END;

-- Our own tables under names that never change.

DROP VIEW IF EXISTS mergeguard_lookup_rows;
CREATE VIEW mergeguard_lookup_rows (old_guid, current_guid, depth, status) AS
SELECT /*{lookup_old_guid*/"old_guid"/*}*/, /*{lookup_current_guid*/"current_guid"/*}*/, /*{lookup_depth*/"depth"/*}*/, /*{lookup_status*/"status"/*}*/
FROM /*{lookup*/"mergeguard_lookup"/*}*/;

CREATE TRIGGER mergeguard_lookup_rows_insert INSTEAD OF INSERT ON mergeguard_lookup_rows
BEGIN
    INSERT INTO /*{lookup*/"mergeguard_lookup"/*}*/ (/*{lookup_old*/"old_guid"/*}*/, /*{lookup_current*/"current_guid"/*}*/, /*{lookup_depth*/"depth"/*}*/, /*{lookup_status*/"status"/*}*/)
    VALUES (NEW.old_guid, NEW.current_guid, NEW.depth, NEW.status);
END;

CREATE TRIGGER mergeguard_lookup_rows_update INSTEAD OF UPDATE ON mergeguard_lookup_rows
BEGIN
    UPDATE /*{lookup*/"mergeguard_lookup"/*}*/ SET /*{lookup_current*/"current_guid"/*}*/ = NEW.current_guid, /*{lookup_depth*/"depth"/*}*/ = NEW.depth,
        /*{lookup_status*/"status"/*}*/ = NEW.status
    WHERE /*{lookup_old*/"old_guid"/*}*/ = OLD.old_guid;
END;

CREATE TRIGGER mergeguard_lookup_rows_delete INSTEAD OF DELETE ON mergeguard_lookup_rows
BEGIN
    DELETE FROM /*{lookup*/"mergeguard_lookup"/*}*/ WHERE /*{lookup_old*/"old_guid"/*}*/ = OLD.old_guid;
END;

DROP VIEW IF EXISTS mergeguard_roots;
CREATE VIEW mergeguard_roots (guid, turn) AS SELECT /*{root_guid*/guid/*}*/, "turn" FROM /*{roots*/"mergeguard_root"/*}*/;

-- Of a root that is there already only its turn grows.
CREATE TRIGGER mergeguard_roots_insert INSTEAD OF INSERT ON mergeguard_roots
BEGIN
    UPDATE /*{roots*/"mergeguard_root"/*}*/ SET "turn" = "turn" + 1 WHERE "guid" = NEW.guid;
    INSERT INTO /*{roots*/"mergeguard_root"/*}*/ ("guid", "turn")
    SELECT NEW.guid, NEW.turn WHERE NOT EXISTS (SELECT 1 FROM /*{roots*/"mergeguard_root"/*}*/ WHERE "guid" = NEW.guid);
END;

DROP VIEW IF EXISTS mergeguard_never_pairs;
CREATE VIEW mergeguard_never_pairs (one_guid, other_guid, who, why) AS
SELECT /*{one_guid*/one_guid/*}*/, /*{other_guid*/other_guid/*}*/, "who", "why" FROM /*{never*/"mergeguard_never"/*}*/;

CREATE TRIGGER mergeguard_never_pairs_insert INSTEAD OF INSERT ON mergeguard_never_pairs
BEGIN
    INSERT INTO /*{never*/"mergeguard_never"/*}*/ ("one_guid", "other_guid", "who", "why")
    VALUES (NEW.one_guid, NEW.other_guid, NEW.who, NEW.why);
END;

CREATE TRIGGER mergeguard_never_pairs_delete INSTEAD OF DELETE ON mergeguard_never_pairs
BEGIN
    DELETE FROM /*{never*/"mergeguard_never"/*}*/ WHERE "one_guid" = OLD.one_guid AND "other_guid" = OLD.other_guid;
END;

DROP VIEW IF EXISTS mergeguard_requests;
CREATE VIEW mergeguard_requests (request_id, run_id, answer) AS
SELECT "request_id", "run_id", "answer" FROM /*{requests*/"mergeguard_request"/*}*/;

CREATE TRIGGER mergeguard_requests_insert INSTEAD OF INSERT ON mergeguard_requests
BEGIN
    INSERT INTO /*{requests*/"mergeguard_request"/*}*/ ("request_id", "run_id", "answer") VALUES (NEW.request_id, NEW.run_id, NEW.answer);
END;

DROP VIEW IF EXISTS mergeguard_journal_runs;
CREATE VIEW mergeguard_journal_runs (run_id, kind, who, tool_version, started, reason, finished, undoes) AS
SELECT run_id, kind, who, tool_version, started, reason, finished, undoes FROM /*{runs*/"mergeguard_run"/*}*/;

CREATE TRIGGER mergeguard_journal_runs_insert INSTEAD OF INSERT ON mergeguard_journal_runs
BEGIN
    INSERT INTO /*{runs*/"mergeguard_run"/*}*/ (run_id, kind, who, tool_version, started, reason, finished, undoes)
    VALUES (NEW.run_id, NEW.kind, NEW.who, NEW.tool_version, NEW.started, NEW.reason, NEW.finished, NEW.undoes);
END;

DROP VIEW IF EXISTS mergeguard_journal_steps;
CREATE VIEW mergeguard_journal_steps (run_id, step, component, kinds, members, confidence, why, guard_after, evidence,
    happened, digest, survivor, undone_by) AS
SELECT run_id, step, component, kinds, members, confidence, why, guard_after, evidence, happened, digest, survivor, undone_by
FROM /*{steps*/"mergeguard_step"/*}*/;

CREATE TRIGGER mergeguard_journal_steps_insert INSTEAD OF INSERT ON mergeguard_journal_steps
BEGIN
    INSERT INTO /*{steps*/"mergeguard_step"/*}*/ (run_id, step, component, kinds, members, confidence, why, guard_after, evidence,
        happened, digest, survivor, undone_by)
    VALUES (NEW.run_id, NEW.step, NEW.component, NEW.kinds, NEW.members, NEW.confidence, NEW.why, NEW.guard_after,
        NEW.evidence, NEW.happened, NEW.digest, NEW.survivor, NEW.undone_by);
END;

CREATE TRIGGER mergeguard_journal_steps_update INSTEAD OF UPDATE OF undone_by ON mergeguard_journal_steps
BEGIN
    UPDATE /*{steps*/"mergeguard_step"/*}*/ SET undone_by = NEW.undone_by WHERE run_id = OLD.run_id AND step = OLD.step;
END;

DROP VIEW IF EXISTS mergeguard_journal_changes;
CREATE VIEW mergeguard_journal_changes (run_id, step, place, action, table_name, before_image, after_image) AS
SELECT run_id, step, place, action, table_name, before_image, after_image FROM /*{changes*/"mergeguard_change"/*}*/;

CREATE TRIGGER mergeguard_journal_changes_insert INSTEAD OF INSERT ON mergeguard_journal_changes
BEGIN
    INSERT INTO /*{changes*/"mergeguard_change"/*}*/ (run_id, step, place, action, table_name, before_image, after_image)
    VALUES (NEW.run_id, NEW.step, NEW.place, NEW.action, NEW.table_name, NEW.before_image, NEW.after_image);
END;
