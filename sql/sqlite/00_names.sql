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

-- The rows that a merge re-points, table by table: where they stand, their cells, and what is written. 25_survival.sql decides.
-- A trigger knows only tables that it names, so each has its own statements. Keys are references too.

DROP VIEW IF EXISTS mergeguard_find_held;
CREATE VIEW mergeguard_find_held (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_find_held_insert INSTEAD OF INSERT ON mergeguard_find_held
BEGIN
    /*{find_held*/INSERT INTO mergeguard_held (table_no, at) SELECT 1, t."rowid"
    FROM "ResourceUpdateSummary" AS t WHERE NEW.part = 1 AND (t."ResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)));
    INSERT INTO mergeguard_held (table_no, at) SELECT 2, t."rowid"
    FROM "ResourceKey" AS t WHERE NEW.part = 1 AND (t."ResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)));
    INSERT INTO mergeguard_held (table_no, at) SELECT 3, t."_id"
    FROM "Inv_Identification" AS t WHERE NEW.part = 1 AND (t."_ResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)));
    INSERT INTO mergeguard_held (table_no, at) SELECT 4, t."_id"
    FROM "Inv_InstalledSoftware" AS t WHERE NEW.part = 1 AND (t."_ResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)) OR t."_SoftwareComponentGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)));
    INSERT INTO mergeguard_held (table_no, at) SELECT 5, t."_id"
    FROM "Evt_Software_Execution" AS t WHERE NEW.part = 1 AND (t."_ResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part = 1));
    INSERT INTO mergeguard_held (table_no, at) SELECT 6, t."rowid"
    FROM "ResourceAssociation" AS t WHERE NEW.part = 1 AND (t."ParentResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)) OR t."ChildResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)));
    INSERT INTO mergeguard_held (table_no, at) SELECT 0, t."rowid"
    FROM "ResourceUpdateSummary" AS t WHERE NEW.part = 1 AND (t."ResourceGuid" IN (SELECT spelled FROM mergeguard_asked WHERE part IN (1, 2)));
    INSERT INTO mergeguard_held (table_no, at) SELECT -1, t."rowid"
    FROM "ResourceUpdateSummary" AS t WHERE NEW.part = 2 AND (t."ResourceGuid" IN (SELECT spelled FROM mergeguard_asked) AND t."DataHash" IS NOT NULL)/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_read_held;
CREATE VIEW mergeguard_read_held (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_read_held_insert INSTEAD OF INSERT ON mergeguard_read_held
BEGIN
    /*{read_held*/INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."InventoryClassGuid" WHEN 3 THEN t."ResourceGuid" WHEN 4 THEN t."CreatedDate" WHEN 5 THEN t."ModifiedDate" WHEN 6 THEN t."RowCount" WHEN 7 THEN t."SMSForwardDate" WHEN 8 THEN t."DataHash" WHEN 9 THEN t."DataLastChangedDate" WHEN 10 THEN t."LastEventId" END
    FROM mergeguard_held AS h CROSS JOIN "ResourceUpdateSummary" AS t ON t."rowid" = h.at
    CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'InventoryClassGuid', '"InventoryClassGuid"'), (3, 'ResourceGuid', '"ResourceGuid"'), (4, 'CreatedDate', '"CreatedDate"'), (5, 'ModifiedDate', '"ModifiedDate"'), (6, 'RowCount', '"RowCount"'), (7, 'SMSForwardDate', '"SMSForwardDate"'), (8, 'DataHash', '"DataHash"'), (9, 'DataLastChangedDate', '"DataLastChangedDate"'), (10, 'LastEventId', '"LastEventId"')) AS c WHERE h.table_no = 1 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."ResourceGuid" WHEN 3 THEN t."KeyName" WHEN 4 THEN t."KeyValue" END
    FROM mergeguard_held AS h CROSS JOIN "ResourceKey" AS t ON t."rowid" = h.at
    CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'ResourceGuid', '"ResourceGuid"'), (3, 'KeyName', '"KeyName"'), (4, 'KeyValue', '"KeyValue"')) AS c WHERE h.table_no = 2 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."_id" WHEN 2 THEN t."_ResourceGuid" WHEN 3 THEN t."Name" WHEN 4 THEN t."Domain" WHEN 5 THEN t."OSName" END
    FROM mergeguard_held AS h CROSS JOIN "Inv_Identification" AS t ON t."_id" = h.at
    CROSS JOIN (VALUES (1, '_id', '"_id"'), (2, '_ResourceGuid', '"_ResourceGuid"'), (3, 'Name', '"Name"'), (4, 'Domain', '"Domain"'), (5, 'OSName', '"OSName"')) AS c WHERE h.table_no = 3 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."_id" WHEN 2 THEN t."_ResourceGuid" WHEN 3 THEN t."_SoftwareComponentGuid" WHEN 4 THEN t."InstallFlag" END
    FROM mergeguard_held AS h CROSS JOIN "Inv_InstalledSoftware" AS t ON t."_id" = h.at
    CROSS JOIN (VALUES (1, '_id', '"_id"'), (2, '_ResourceGuid', '"_ResourceGuid"'), (3, '_SoftwareComponentGuid', '"_SoftwareComponentGuid"'), (4, 'InstallFlag', '"InstallFlag"')) AS c WHERE h.table_no = 4 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."_id" WHEN 2 THEN t."_ResourceGuid" WHEN 3 THEN t."_eventTime" WHEN 4 THEN t."Program" WHEN 5 THEN t."ExitCode" END
    FROM mergeguard_held AS h CROSS JOIN "Evt_Software_Execution" AS t ON t."_id" = h.at
    CROSS JOIN (VALUES (1, '_id', '"_id"'), (2, '_ResourceGuid', '"_ResourceGuid"'), (3, '_eventTime', '"_eventTime"'), (4, 'Program', '"Program"'), (5, 'ExitCode', '"ExitCode"')) AS c WHERE h.table_no = 5 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."ResourceAssociationTypeGuid" WHEN 3 THEN t."ParentResourceGuid" WHEN 4 THEN t."ChildResourceGuid" WHEN 5 THEN t."CreatedDate" WHEN 6 THEN t."EventId" END
    FROM mergeguard_held AS h CROSS JOIN "ResourceAssociation" AS t ON t."rowid" = h.at
    CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'ResourceAssociationTypeGuid', '"ResourceAssociationTypeGuid"'), (3, 'ParentResourceGuid', '"ParentResourceGuid"'), (4, 'ChildResourceGuid', '"ChildResourceGuid"'), (5, 'CreatedDate', '"CreatedDate"'), (6, 'EventId', '"EventId"')) AS c WHERE h.table_no = 6 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."InventoryClassGuid" WHEN 3 THEN t."ResourceGuid" WHEN 4 THEN t."CreatedDate" WHEN 5 THEN t."ModifiedDate" WHEN 6 THEN t."RowCount" WHEN 7 THEN t."SMSForwardDate" WHEN 8 THEN t."DataHash" WHEN 9 THEN t."DataLastChangedDate" WHEN 10 THEN t."LastEventId" END
    FROM mergeguard_held AS h CROSS JOIN "ResourceUpdateSummary" AS t ON t."rowid" = h.at
    CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'InventoryClassGuid', '"InventoryClassGuid"'), (3, 'ResourceGuid', '"ResourceGuid"'), (4, 'CreatedDate', '"CreatedDate"'), (5, 'ModifiedDate', '"ModifiedDate"'), (6, 'RowCount', '"RowCount"'), (7, 'SMSForwardDate', '"SMSForwardDate"'), (8, 'DataHash', '"DataHash"'), (9, 'DataLastChangedDate', '"DataLastChangedDate"'), (10, 'LastEventId', '"LastEventId"')) AS c WHERE h.table_no = 0 AND h.image IS NULL;
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT h.number, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."InventoryClassGuid" WHEN 3 THEN t."ResourceGuid" WHEN 4 THEN t."CreatedDate" WHEN 5 THEN t."ModifiedDate" WHEN 6 THEN t."RowCount" WHEN 7 THEN t."SMSForwardDate" WHEN 8 THEN t."DataHash" WHEN 9 THEN t."DataLastChangedDate" WHEN 10 THEN t."LastEventId" END
    FROM mergeguard_held AS h CROSS JOIN "ResourceUpdateSummary" AS t ON t."rowid" = h.at
    CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'InventoryClassGuid', '"InventoryClassGuid"'), (3, 'ResourceGuid', '"ResourceGuid"'), (4, 'CreatedDate', '"CreatedDate"'), (5, 'ModifiedDate', '"ModifiedDate"'), (6, 'RowCount', '"RowCount"'), (7, 'SMSForwardDate', '"SMSForwardDate"'), (8, 'DataHash', '"DataHash"'), (9, 'DataLastChangedDate', '"DataLastChangedDate"'), (10, 'LastEventId', '"LastEventId"')) AS c WHERE h.table_no = -1 AND h.image IS NULL/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_write_held;
CREATE VIEW mergeguard_write_held (part) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_write_held_insert INSTEAD OF INSERT ON mergeguard_write_held
BEGIN
    /*{write_held*/DELETE FROM "ResourceUpdateSummary" WHERE "ResourceUpdateSummary"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 1 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'));
    UPDATE "ResourceUpdateSummary" SET "ResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = 'ResourceGuid' WHERE h.table_no = 1 AND h.at = "ResourceUpdateSummary"."rowid"), "ResourceGuid"), "DataHash" = NULL
    WHERE "ResourceUpdateSummary"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 1 AND fate = 'changed');
    DELETE FROM "ResourceKey" WHERE "ResourceKey"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 2 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'));
    UPDATE "ResourceKey" SET "ResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = 'ResourceGuid' WHERE h.table_no = 2 AND h.at = "ResourceKey"."rowid"), "ResourceGuid")
    WHERE "ResourceKey"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 2 AND fate = 'changed');
    DELETE FROM "Inv_Identification" WHERE "Inv_Identification"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 3 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'));
    UPDATE "Inv_Identification" SET "_ResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = '_ResourceGuid' WHERE h.table_no = 3 AND h.at = "Inv_Identification"."_id"), "_ResourceGuid")
    WHERE "Inv_Identification"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 3 AND fate = 'changed');
    DELETE FROM "Inv_InstalledSoftware" WHERE "Inv_InstalledSoftware"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 4 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'));
    UPDATE "Inv_InstalledSoftware" SET "_ResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = '_ResourceGuid' WHERE h.table_no = 4 AND h.at = "Inv_InstalledSoftware"."_id"), "_ResourceGuid"), "_SoftwareComponentGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = '_SoftwareComponentGuid' WHERE h.table_no = 4 AND h.at = "Inv_InstalledSoftware"."_id"), "_SoftwareComponentGuid")
    WHERE "Inv_InstalledSoftware"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 4 AND fate = 'changed');
    DELETE FROM "Evt_Software_Execution" WHERE "Evt_Software_Execution"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 5 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'));
    UPDATE "Evt_Software_Execution" SET "_ResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = '_ResourceGuid' WHERE h.table_no = 5 AND h.at = "Evt_Software_Execution"."_id"), "_ResourceGuid")
    WHERE "Evt_Software_Execution"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 5 AND fate = 'changed');
    DELETE FROM "ResourceAssociation" WHERE "ResourceAssociation"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 6 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'));
    UPDATE "ResourceAssociation" SET "ParentResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = 'ParentResourceGuid' WHERE h.table_no = 6 AND h.at = "ResourceAssociation"."rowid"), "ParentResourceGuid"), "ChildResourceGuid" = coalesce((
        SELECT g.after_value FROM mergeguard_held AS h JOIN mergeguard_held_guids AS g ON g.number = h.number AND g.name = 'ChildResourceGuid' WHERE h.table_no = 6 AND h.at = "ResourceAssociation"."rowid"), "ChildResourceGuid")
    WHERE "ResourceAssociation"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 6 AND fate = 'changed');
    UPDATE "ResourceUpdateSummary" SET "DataHash" = NULL WHERE "ResourceUpdateSummary"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = -1 AND fate = 'cleared')/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_left_held;
CREATE VIEW mergeguard_left_held (is_left) AS
/*{left_held*/SELECT 1 FROM "ResourceUpdateSummary" WHERE "ResourceUpdateSummary"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 1 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'))
UNION ALL SELECT 1 FROM "ResourceKey" WHERE "ResourceKey"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 2 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'))
UNION ALL SELECT 1 FROM "Inv_Identification" WHERE "Inv_Identification"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 3 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'))
UNION ALL SELECT 1 FROM "Inv_InstalledSoftware" WHERE "Inv_InstalledSoftware"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 4 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'))
UNION ALL SELECT 1 FROM "Evt_Software_Execution" WHERE "Evt_Software_Execution"."_id" IN (SELECT at FROM mergeguard_held WHERE table_no = 5 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'))
UNION ALL SELECT 1 FROM "ResourceAssociation" WHERE "ResourceAssociation"."rowid" IN (SELECT at FROM mergeguard_held WHERE table_no = 6 AND fate IN ('dropped', 'collapsed', 'outnumbered', 'replaced'))/*}*/;

-- What decides which of them stay. sets_name: whose data a row is, where all rows of a resource are loaded together. single_name:
-- the one column of a unique key, by which a row that knows no time is dated as it was loaded last.
DROP VIEW IF EXISTS mergeguard_moved_tables;
CREATE VIEW mergeguard_moved_tables (table_no, table_name, bare_name, time_name, order_name, sets_name, single_name, parent_name,
    type_name, data_class) AS
/*{moved_tables*/VALUES
    (1, 'ResourceUpdateSummary', 'ResourceUpdateSummary', 'ModifiedDate', 'LastEventId', NULL, NULL, NULL, NULL, NULL),
    (2, 'ResourceKey', 'ResourceKey', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (3, 'Inv_Identification', 'Inv_Identification', NULL, NULL, '_ResourceGuid', '_ResourceGuid', NULL, NULL, NULL),
    (4, 'Inv_InstalledSoftware', 'Inv_InstalledSoftware', NULL, NULL, '_ResourceGuid', NULL, NULL, NULL, NULL),
    (5, 'Evt_Software_Execution', 'Evt_Software_Execution', NULL, NULL, NULL, NULL, NULL, NULL, NULL),
    (6, 'ResourceAssociation', 'ResourceAssociation', 'CreatedDate', 'EventId', NULL, NULL, 'ParentResourceGuid', 'ResourceAssociationTypeGuid', NULL),
    (0, 'ResourceUpdateSummary', 'ResourceUpdateSummary', 'ModifiedDate', 'LastEventId', NULL, NULL, NULL, NULL, NULL)/*}*/;

DROP VIEW IF EXISTS mergeguard_moved_columns;
CREATE VIEW mergeguard_moved_columns (table_no, column_name, moves, is_guid, cleared, names, compared, key_place) AS
/*{moved_columns*/VALUES
    (1, 'ResourceGuid', 1, 1, 0, 0, 1, NULL),
    (1, 'DataHash', 0, 0, 1, 0, 0, NULL),
    (1, 'rowid', 0, 0, 0, 1, 0, NULL),
    (2, 'ResourceGuid', 1, 1, 0, 0, 1, NULL),
    (2, 'rowid', 0, 0, 0, 1, 0, NULL),
    (3, '_ResourceGuid', 1, 1, 0, 0, 1, NULL),
    (3, '_id', 0, 0, 0, 1, 0, NULL),
    (4, '_ResourceGuid', 1, 1, 0, 0, 1, NULL),
    (4, '_SoftwareComponentGuid', 1, 1, 0, 0, 1, NULL),
    (4, '_id', 0, 0, 0, 1, 0, NULL),
    (5, '_ResourceGuid', 1, 1, 0, 0, 0, NULL),
    (5, '_id', 0, 0, 0, 1, 0, NULL),
    (6, 'ParentResourceGuid', 1, 1, 0, 0, 1, NULL),
    (6, 'ChildResourceGuid', 1, 1, 0, 0, 1, NULL),
    (6, 'ResourceAssociationTypeGuid', 0, 1, 0, 0, 1, NULL),
    (6, 'rowid', 0, 0, 0, 1, 0, NULL),
    (0, 'ResourceGuid', 1, 1, 0, 0, 1, NULL),
    (-1, 'ResourceGuid', 1, 1, 0, 0, 1, NULL)/*}*/;

DROP VIEW IF EXISTS mergeguard_moved_unique;
CREATE VIEW mergeguard_moved_unique (table_no, unique_no, place, column_name, nulls) AS
/*{moved_unique*/VALUES
    (1, 1, 1, 'InventoryClassGuid', 0),
    (1, 1, 2, 'ResourceGuid', 0),
    (2, 1, 1, 'ResourceGuid', 1),
    (2, 1, 2, 'KeyName', 1),
    (2, 1, 3, 'KeyValue', 1),
    (3, 1, 1, '_ResourceGuid', 1),
    (4, 1, 1, '_ResourceGuid', 1),
    (4, 1, 2, '_SoftwareComponentGuid', 1),
    (6, 1, 1, 'ResourceAssociationTypeGuid', 1),
    (6, 1, 2, 'ParentResourceGuid', 1),
    (6, 1, 3, 'ChildResourceGuid', 1)/*}*/;

DROP VIEW IF EXISTS mergeguard_moved_ends;
CREATE VIEW mergeguard_moved_ends (table_no, parent_name, child_name) AS
/*{moved_ends*/VALUES
    (6, 'ParentResourceGuid', 'ChildResourceGuid')/*}*/;

-- The hashes of data, the classes of the data in tables, and how many links of a type there may be.
DROP VIEW IF EXISTS mergeguard_hash_place;
CREATE VIEW mergeguard_hash_place (table_no, moves, guid_name, class_name, hash_name) AS
/*{hash_place*/SELECT 1, 1, 'ResourceGuid', 'InventoryClassGuid', 'DataHash'/*}*/;

DROP VIEW IF EXISTS mergeguard_hash_classes;
CREATE VIEW mergeguard_hash_classes (name, class) AS
/*{hash_classes*/SELECT "TableName", "Guid" FROM "DataClass"/*}*/;

DROP VIEW IF EXISTS mergeguard_link_maxima;
CREATE VIEW mergeguard_link_maxima (guid_text, maximum) AS
/*{link_maxima*/SELECT "Guid", "MaximumCardinality" FROM "ResourceAssociationType"/*}*/;

-- What takes a merge back: the tables in which it changes rows under the names that the journal has, their columns, what finds
-- one row, and what is written. grows: it adds rows there. 40_unmerge.sql goes through the journal with them.
DROP VIEW IF EXISTS mergeguard_back_tables;
CREATE VIEW mergeguard_back_tables (table_no, table_name, grows) AS
/*{back_tables*/VALUES
    (1, 'ResourceMerge', 1),
    (2, 'ItemResource', 0),
    (3, 'AgentBlacklist', 1),
    (4, 'ResourceUpdateSummary', 0),
    (5, 'ResourceKey', 0),
    (6, 'Inv_Identification', 0),
    (7, 'Inv_InstalledSoftware', 0),
    (8, 'Evt_Software_Execution', 0),
    (9, 'ResourceAssociation', 0)/*}*/;

DROP VIEW IF EXISTS mergeguard_back_columns;
CREATE VIEW mergeguard_back_columns (table_no, column_name, is_key, is_written) AS
/*{back_columns*/VALUES
    (1, 'Id', 1, 0),
    (1, 'OldGuid', 0, 0),
    (1, 'NewGuid', 0, 0),
    (1, 'MergedAt', 0, 0),
    (1, 'MergeKey', 0, 0),
    (2, 'rowid', 1, 0),
    (2, 'Guid', 0, 0),
    (2, 'IsManaged', 0, 0),
    (2, 'Status', 0, 0),
    (3, 'rowid', 1, 0),
    (3, 'Guid', 0, 0),
    (3, 'BlacklistedAt', 0, 0),
    (3, 'ReplacedBy', 0, 0),
    (4, 'rowid', 1, 0),
    (4, 'InventoryClassGuid', 0, 0),
    (4, 'ResourceGuid', 0, 1),
    (4, 'CreatedDate', 0, 0),
    (4, 'ModifiedDate', 0, 0),
    (4, 'RowCount', 0, 0),
    (4, 'SMSForwardDate', 0, 0),
    (4, 'DataHash', 0, 1),
    (4, 'DataLastChangedDate', 0, 0),
    (4, 'LastEventId', 0, 0),
    (5, 'rowid', 1, 0),
    (5, 'ResourceGuid', 0, 1),
    (5, 'KeyName', 0, 0),
    (5, 'KeyValue', 0, 0),
    (6, '_id', 1, 0),
    (6, '_ResourceGuid', 0, 1),
    (6, 'Name', 0, 0),
    (6, 'Domain', 0, 0),
    (6, 'OSName', 0, 0),
    (7, '_id', 1, 0),
    (7, '_ResourceGuid', 0, 1),
    (7, '_SoftwareComponentGuid', 0, 1),
    (7, 'InstallFlag', 0, 0),
    (8, '_id', 1, 0),
    (8, '_ResourceGuid', 0, 1),
    (8, '_eventTime', 0, 0),
    (8, 'Program', 0, 0),
    (8, 'ExitCode', 0, 0),
    (9, 'rowid', 1, 0),
    (9, 'ResourceAssociationTypeGuid', 0, 0),
    (9, 'ParentResourceGuid', 0, 1),
    (9, 'ChildResourceGuid', 0, 1),
    (9, 'CreatedDate', 0, 0),
    (9, 'EventId', 0, 0)/*}*/;

DROP VIEW IF EXISTS mergeguard_read_back;
CREATE VIEW mergeguard_read_back (table_no) AS SELECT NULL WHERE 0;
CREATE TRIGGER mergeguard_read_back_insert INSTEAD OF INSERT ON mergeguard_read_back
BEGIN
    /*{read_back*/INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."Id" WHEN 2 THEN t."OldGuid" WHEN 3 THEN t."NewGuid" WHEN 4 THEN t."MergedAt" WHEN 5 THEN t."MergeKey" END
    FROM "ResourceMerge" AS t CROSS JOIN (VALUES (1, 'Id', '"Id"'), (2, 'OldGuid', '"OldGuid"'), (3, 'NewGuid', '"NewGuid"'), (4, 'MergedAt', '"MergedAt"'), (5, 'MergeKey', '"MergeKey"')) AS c
    WHERE NEW.table_no = 1 AND t."Id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'Id');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."Guid" WHEN 3 THEN t."IsManaged" WHEN 4 THEN t."Status" END
    FROM "ItemResource" AS t CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'Guid', '"Guid"'), (3, 'IsManaged', '"IsManaged"'), (4, 'Status', '"Status"')) AS c
    WHERE NEW.table_no = 2 AND t."rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."Guid" WHEN 3 THEN t."BlacklistedAt" WHEN 4 THEN t."ReplacedBy" END
    FROM "AgentBlacklist" AS t CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'Guid', '"Guid"'), (3, 'BlacklistedAt', '"BlacklistedAt"'), (4, 'ReplacedBy', '"ReplacedBy"')) AS c
    WHERE NEW.table_no = 3 AND t."rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."InventoryClassGuid" WHEN 3 THEN t."ResourceGuid" WHEN 4 THEN t."CreatedDate" WHEN 5 THEN t."ModifiedDate" WHEN 6 THEN t."RowCount" WHEN 7 THEN t."SMSForwardDate" WHEN 8 THEN t."DataHash" WHEN 9 THEN t."DataLastChangedDate" WHEN 10 THEN t."LastEventId" END
    FROM "ResourceUpdateSummary" AS t CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'InventoryClassGuid', '"InventoryClassGuid"'), (3, 'ResourceGuid', '"ResourceGuid"'), (4, 'CreatedDate', '"CreatedDate"'), (5, 'ModifiedDate', '"ModifiedDate"'), (6, 'RowCount', '"RowCount"'), (7, 'SMSForwardDate', '"SMSForwardDate"'), (8, 'DataHash', '"DataHash"'), (9, 'DataLastChangedDate', '"DataLastChangedDate"'), (10, 'LastEventId', '"LastEventId"')) AS c
    WHERE NEW.table_no = 4 AND t."rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."ResourceGuid" WHEN 3 THEN t."KeyName" WHEN 4 THEN t."KeyValue" END
    FROM "ResourceKey" AS t CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'ResourceGuid', '"ResourceGuid"'), (3, 'KeyName', '"KeyName"'), (4, 'KeyValue', '"KeyValue"')) AS c
    WHERE NEW.table_no = 5 AND t."rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."_id" WHEN 2 THEN t."_ResourceGuid" WHEN 3 THEN t."Name" WHEN 4 THEN t."Domain" WHEN 5 THEN t."OSName" END
    FROM "Inv_Identification" AS t CROSS JOIN (VALUES (1, '_id', '"_id"'), (2, '_ResourceGuid', '"_ResourceGuid"'), (3, 'Name', '"Name"'), (4, 'Domain', '"Domain"'), (5, 'OSName', '"OSName"')) AS c
    WHERE NEW.table_no = 6 AND t."_id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = '_id');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."_id" WHEN 2 THEN t."_ResourceGuid" WHEN 3 THEN t."_SoftwareComponentGuid" WHEN 4 THEN t."InstallFlag" END
    FROM "Inv_InstalledSoftware" AS t CROSS JOIN (VALUES (1, '_id', '"_id"'), (2, '_ResourceGuid', '"_ResourceGuid"'), (3, '_SoftwareComponentGuid', '"_SoftwareComponentGuid"'), (4, 'InstallFlag', '"InstallFlag"')) AS c
    WHERE NEW.table_no = 7 AND t."_id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = '_id');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."_id" WHEN 2 THEN t."_ResourceGuid" WHEN 3 THEN t."_eventTime" WHEN 4 THEN t."Program" WHEN 5 THEN t."ExitCode" END
    FROM "Evt_Software_Execution" AS t CROSS JOIN (VALUES (1, '_id', '"_id"'), (2, '_ResourceGuid', '"_ResourceGuid"'), (3, '_eventTime', '"_eventTime"'), (4, 'Program', '"Program"'), (5, 'ExitCode', '"ExitCode"')) AS c
    WHERE NEW.table_no = 8 AND t."_id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = '_id');
    INSERT INTO mergeguard_held_cells (number, place, name, label, value)
    SELECT 1, c.column1, c.column2, c.column3, CASE c.column1 WHEN 1 THEN t."rowid" WHEN 2 THEN t."ResourceAssociationTypeGuid" WHEN 3 THEN t."ParentResourceGuid" WHEN 4 THEN t."ChildResourceGuid" WHEN 5 THEN t."CreatedDate" WHEN 6 THEN t."EventId" END
    FROM "ResourceAssociation" AS t CROSS JOIN (VALUES (1, 'rowid', '"rowid"'), (2, 'ResourceAssociationTypeGuid', '"ResourceAssociationTypeGuid"'), (3, 'ParentResourceGuid', '"ParentResourceGuid"'), (4, 'ChildResourceGuid', '"ChildResourceGuid"'), (5, 'CreatedDate', '"CreatedDate"'), (6, 'EventId', '"EventId"')) AS c
    WHERE NEW.table_no = 9 AND t."rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid')/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_write_back;
CREATE VIEW mergeguard_write_back (table_no, action) AS SELECT NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_write_back_insert INSTEAD OF INSERT ON mergeguard_write_back
BEGIN
    /*{write_back*/INSERT INTO "ResourceMerge" ("Id", "OldGuid", "NewGuid", "MergedAt", "MergeKey")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Id'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'OldGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'NewGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'MergedAt'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'MergeKey')
    WHERE NEW.table_no = 1 AND NEW.action = 'put back';
    DELETE FROM "ResourceMerge" WHERE NEW.table_no = 1 AND NEW.action = 'take out' AND "Id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'Id');
    INSERT INTO "ItemResource" ("rowid", "Guid", "IsManaged", "Status")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'rowid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Guid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'IsManaged'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Status')
    WHERE NEW.table_no = 2 AND NEW.action = 'put back';
    INSERT INTO "AgentBlacklist" ("rowid", "Guid", "BlacklistedAt", "ReplacedBy")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'rowid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Guid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'BlacklistedAt'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ReplacedBy')
    WHERE NEW.table_no = 3 AND NEW.action = 'put back';
    DELETE FROM "AgentBlacklist" WHERE NEW.table_no = 3 AND NEW.action = 'take out' AND "rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO "ResourceUpdateSummary" ("rowid", "InventoryClassGuid", "ResourceGuid", "CreatedDate", "ModifiedDate", "RowCount", "SMSForwardDate", "DataHash", "DataLastChangedDate", "LastEventId")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'rowid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'InventoryClassGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'CreatedDate'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ModifiedDate'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'RowCount'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'SMSForwardDate'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'DataHash'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'DataLastChangedDate'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'LastEventId')
    WHERE NEW.table_no = 4 AND NEW.action = 'put back';
    UPDATE "ResourceUpdateSummary" SET "ResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceGuid') ELSE "ResourceGuid" END, "DataHash" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = 'DataHash') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'DataHash') ELSE "DataHash" END
    WHERE NEW.table_no = 4 AND NEW.action = 'set back' AND "rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO "ResourceKey" ("rowid", "ResourceGuid", "KeyName", "KeyValue")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'rowid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'KeyName'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'KeyValue')
    WHERE NEW.table_no = 5 AND NEW.action = 'put back';
    UPDATE "ResourceKey" SET "ResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceGuid') ELSE "ResourceGuid" END
    WHERE NEW.table_no = 5 AND NEW.action = 'set back' AND "rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid');
    INSERT INTO "Inv_Identification" ("_id", "_ResourceGuid", "Name", "Domain", "OSName")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_id'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Name'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Domain'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'OSName')
    WHERE NEW.table_no = 6 AND NEW.action = 'put back';
    UPDATE "Inv_Identification" SET "_ResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid') ELSE "_ResourceGuid" END
    WHERE NEW.table_no = 6 AND NEW.action = 'set back' AND "_id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = '_id');
    INSERT INTO "Inv_InstalledSoftware" ("_id", "_ResourceGuid", "_SoftwareComponentGuid", "InstallFlag")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_id'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_SoftwareComponentGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'InstallFlag')
    WHERE NEW.table_no = 7 AND NEW.action = 'put back';
    UPDATE "Inv_InstalledSoftware" SET "_ResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid') ELSE "_ResourceGuid" END, "_SoftwareComponentGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = '_SoftwareComponentGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_SoftwareComponentGuid') ELSE "_SoftwareComponentGuid" END
    WHERE NEW.table_no = 7 AND NEW.action = 'set back' AND "_id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = '_id');
    INSERT INTO "Evt_Software_Execution" ("_id", "_ResourceGuid", "_eventTime", "Program", "ExitCode")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_id'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_eventTime'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'Program'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ExitCode')
    WHERE NEW.table_no = 8 AND NEW.action = 'put back';
    UPDATE "Evt_Software_Execution" SET "_ResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = '_ResourceGuid') ELSE "_ResourceGuid" END
    WHERE NEW.table_no = 8 AND NEW.action = 'set back' AND "_id" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = '_id');
    INSERT INTO "ResourceAssociation" ("rowid", "ResourceAssociationTypeGuid", "ParentResourceGuid", "ChildResourceGuid", "CreatedDate", "EventId")
    SELECT (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'rowid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ResourceAssociationTypeGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ParentResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ChildResourceGuid'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'CreatedDate'), (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'EventId')
    WHERE NEW.table_no = 9 AND NEW.action = 'put back';
    UPDATE "ResourceAssociation" SET "ParentResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ParentResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ParentResourceGuid') ELSE "ParentResourceGuid" END, "ChildResourceGuid" = CASE WHEN EXISTS (SELECT 1 FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ChildResourceGuid') THEN (SELECT value FROM mergeguard_back_cells WHERE side = 'then' AND name = 'ChildResourceGuid') ELSE "ChildResourceGuid" END
    WHERE NEW.table_no = 9 AND NEW.action = 'set back' AND "rowid" = (SELECT value FROM mergeguard_back_cells WHERE side = 'at' AND name = 'rowid')/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_refuse_back;
CREATE VIEW mergeguard_refuse_back (table_no, why) AS SELECT NULL, NULL WHERE 0;
CREATE TRIGGER mergeguard_refuse_back_insert INSTEAD OF INSERT ON mergeguard_refuse_back
BEGIN
    /*{refuse_back*/SELECT RAISE(ABORT, 'mergeguard: stale: a row of ResourceMerge is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 1 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of ResourceMerge is to be put back, and nothing was taken back') WHERE NEW.table_no = 1 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: ResourceMerge has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 1 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of ResourceMerge that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 1 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of ResourceMerge; look for triggers on it') WHERE NEW.table_no = 1 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of ItemResource is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 2 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of ItemResource is to be put back, and nothing was taken back') WHERE NEW.table_no = 2 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: ItemResource has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 2 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of ItemResource that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 2 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of ItemResource; look for triggers on it') WHERE NEW.table_no = 2 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of AgentBlacklist is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 3 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of AgentBlacklist is to be put back, and nothing was taken back') WHERE NEW.table_no = 3 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: AgentBlacklist has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 3 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of AgentBlacklist that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 3 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of AgentBlacklist; look for triggers on it') WHERE NEW.table_no = 3 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of ResourceUpdateSummary is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 4 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of ResourceUpdateSummary is to be put back, and nothing was taken back') WHERE NEW.table_no = 4 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: ResourceUpdateSummary has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 4 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of ResourceUpdateSummary that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 4 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of ResourceUpdateSummary; look for triggers on it') WHERE NEW.table_no = 4 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of ResourceKey is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 5 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of ResourceKey is to be put back, and nothing was taken back') WHERE NEW.table_no = 5 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: ResourceKey has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 5 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of ResourceKey that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 5 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of ResourceKey; look for triggers on it') WHERE NEW.table_no = 5 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of Inv_Identification is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 6 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of Inv_Identification is to be put back, and nothing was taken back') WHERE NEW.table_no = 6 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: Inv_Identification has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 6 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of Inv_Identification that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 6 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of Inv_Identification; look for triggers on it') WHERE NEW.table_no = 6 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of Inv_InstalledSoftware is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 7 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of Inv_InstalledSoftware is to be put back, and nothing was taken back') WHERE NEW.table_no = 7 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: Inv_InstalledSoftware has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 7 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of Inv_InstalledSoftware that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 7 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of Inv_InstalledSoftware; look for triggers on it') WHERE NEW.table_no = 7 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of Evt_Software_Execution is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 8 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of Evt_Software_Execution is to be put back, and nothing was taken back') WHERE NEW.table_no = 8 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: Evt_Software_Execution has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 8 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of Evt_Software_Execution that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 8 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of Evt_Software_Execution; look for triggers on it') WHERE NEW.table_no = 8 AND NEW.why = 'write';
    SELECT RAISE(ABORT, 'mergeguard: stale: a row of ResourceAssociation is gone, or is not as the merge left it, and nothing was taken back') WHERE NEW.table_no = 9 AND NEW.why = 'changed';
    SELECT RAISE(ABORT, 'mergeguard: stale: another row stands where one of ResourceAssociation is to be put back, and nothing was taken back') WHERE NEW.table_no = 9 AND NEW.why = 'stands';
    SELECT RAISE(ABORT, 'mergeguard: stale: ResourceAssociation has other columns than when the merge was made, or than when these scripts were') WHERE NEW.table_no = 9 AND NEW.why = 'altered';
    SELECT RAISE(ABORT, 'mergeguard: references: the profile does not declare all columns of ResourceAssociation that the merge changed; ''mergeguard undo'' takes it back') WHERE NEW.table_no = 9 AND NEW.why = 'unknown';
    SELECT RAISE(ABORT, 'mergeguard: write: the database stored something else than it was told of ResourceAssociation; look for triggers on it') WHERE NEW.table_no = 9 AND NEW.why = 'write'/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_declared;
CREATE VIEW mergeguard_declared (live, types, times, refs, deleted, managed, guarded) AS
SELECT /*{has_live*/1/*}*/, /*{has_types*/1/*}*/, /*{has_times*/1/*}*/, /*{has_references*/1/*}*/, /*{has_deleted*/0/*}*/, /*{has_managed*/1/*}*/, /*{is_guarded*/0/*}*/;

-- The triggers of the guard that stand on the merge table.
DROP VIEW IF EXISTS mergeguard_standing_guard;
CREATE VIEW mergeguard_standing_guard (name) AS
SELECT name FROM sqlite_master WHERE type = 'trigger' AND name IN (/*{guard_names*/'mergeguard_guard_insert', 'mergeguard_guard_update'/*}*/) AND tbl_name = /*{merge_plain*/'ResourceMerge'/*}*/ COLLATE NOCASE;

-- What a merge writes. can_merge: all guids of merges are texts in a spelling that an index finds, or (packed) all are of 16 bytes;
-- others are read and not written. packs: some guids are of 16 bytes. swapped: those stand in the order of SQL Server.
DROP VIEW IF EXISTS mergeguard_places;
CREATE VIEW mergeguard_places (merge_name, live_name, black_list_name, can_merge, packed, packs, swapped) AS
SELECT /*{merge_name*/'ResourceMerge'/*}*/, /*{live_name*/'ItemResource'/*}*/, /*{black_list_name*/'AgentBlacklist'/*}*/, /*{can_merge*/1/*}*/, /*{packed*/0/*}*/, /*{packs*/0/*}*/, /*{swapped*/0/*}*/;

-- Values of the new that mean "deleted, no successor"; those that are guids have one.
DROP VIEW IF EXISTS mergeguard_deleted_values;
CREATE VIEW mergeguard_deleted_values (value, guid) AS
/*{deleted*/SELECT NULL, NULL WHERE 0/*}*/;

-- Rows as the journal keeps them: JSON of ASCII letters alone, each cell with its kind. A float is written as it is in binary,
-- a text that would not arrive as it is as the hex of its bytes.

DROP VIEW IF EXISTS mergeguard_merge_images;
CREATE VIEW mergeguard_merge_images (old_text, new_text, image) AS
SELECT old_text, new_text, CASE WHEN image GLOB '*[^ -~]*' THEN (
    WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(image))
    SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
        ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
    FROM (SELECT unicode(substr(image, at, 1)) AS code FROM place)
) ELSE image END
FROM (SELECT /*{old*/"OldGuid"/*}*/ AS old_text, /*{new*/"NewGuid"/*}*/ AS new_text, (SELECT json_group_object(name, CASE typeof(value) WHEN 'integer' THEN 'i:' || value WHEN 'blob' THEN 'b:' || lower(hex(value))
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
        ) END END)
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
FROM (SELECT /*{live_guid*/"Guid"/*}*/ AS guid_text, (SELECT json_group_object(name, CASE typeof(value) WHEN 'integer' THEN 'i:' || value WHEN 'blob' THEN 'b:' || lower(hex(value))
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
        ) END END)
        FROM (/*{live_cells*/SELECT 'rowid' AS name, "rowid" AS value UNION ALL SELECT 'Guid' AS name, "Guid" AS value UNION ALL SELECT 'IsManaged' AS name, "IsManaged" AS value UNION ALL SELECT 'Status' AS name, "Status" AS value/*}*/)) AS image
    FROM /*{live_table*/"ItemResource"/*}*/);

CREATE TRIGGER mergeguard_merge_cells_insert INSTEAD OF INSERT ON mergeguard_merge_cells
BEGIN
    /*{insert_merge*/INSERT INTO "ResourceMerge" ("OldGuid", "NewGuid", "MergedAt") VALUES (NEW.old_text, NEW.new_text, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))/*}*/;
END;

CREATE TRIGGER mergeguard_live_images_delete INSTEAD OF DELETE ON mergeguard_live_images
BEGIN
    /*{delete_live*/DELETE FROM "ItemResource" WHERE "Guid" = OLD.guid_text/*}*/;
END;

-- Agents whose guid was merged away and that must take another one, where there is a table of them; and which an agent manages.

DROP VIEW IF EXISTS mergeguard_black_list;
CREATE VIEW mergeguard_black_list (guid_text, current_text, image) AS
SELECT guid_text, NULL, CASE WHEN image GLOB '*[^ -~]*' THEN (
    WITH RECURSIVE place (at) AS (SELECT 1 UNION ALL SELECT at + 1 FROM place WHERE at < length(image))
    SELECT group_concat(CASE WHEN code < 127 THEN char(code) WHEN code < 65536 THEN printf('\u%04x', code)
        ELSE printf('\u%04x\u%04x', 55296 + ((code - 65536) >> 10), 56320 + ((code - 65536) & 1023)) END, '')
    FROM (SELECT unicode(substr(image, at, 1)) AS code FROM place)
) ELSE image END
FROM (SELECT /*{black_list_guid*/"Guid"/*}*/ AS guid_text, (SELECT json_group_object(name, CASE typeof(value) WHEN 'integer' THEN 'i:' || value WHEN 'blob' THEN 'b:' || lower(hex(value))
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
        ) END END)
        FROM (/*{black_list_cells*/SELECT 'rowid' AS name, "rowid" AS value UNION ALL SELECT 'Guid' AS name, "Guid" AS value UNION ALL SELECT 'BlacklistedAt' AS name, "BlacklistedAt" AS value UNION ALL SELECT 'ReplacedBy' AS name, "ReplacedBy" AS value/*}*/)) AS image
    FROM /*{black_list_table*/"AgentBlacklist"/*}*/);

CREATE TRIGGER mergeguard_black_list_insert INSTEAD OF INSERT ON mergeguard_black_list
BEGIN
    /*{insert_black_list*/INSERT INTO "AgentBlacklist" ("Guid", "ReplacedBy", "BlacklistedAt") VALUES (NEW.guid_text, NEW.current_text, strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))/*}*/;
END;

DROP VIEW IF EXISTS mergeguard_managed_cells;
CREATE VIEW mergeguard_managed_cells (guid_text, managed_text) AS
/*{managed*/SELECT "Guid", "IsManaged" FROM "ItemResource"/*}*/;

-- Our own tables under names that never change. Beside a guid stands its cell as it is, by which an index finds it.

DROP VIEW IF EXISTS mergeguard_lookup_rows;
CREATE VIEW mergeguard_lookup_rows (old_guid, current_guid, depth, status, old_cell, current_cell) AS
SELECT /*{lookup_old_guid*/"old_guid"/*}*/, /*{lookup_current_guid*/"current_guid"/*}*/, /*{lookup_depth*/"depth"/*}*/, /*{lookup_status*/"status"/*}*/, /*{lookup_old*/"old_guid"/*}*/, /*{lookup_current*/"current_guid"/*}*/
FROM /*{lookup*/"mergeguard_lookup"/*}*/;

CREATE TRIGGER mergeguard_lookup_rows_insert INSTEAD OF INSERT ON mergeguard_lookup_rows
BEGIN
    INSERT INTO /*{lookup*/"mergeguard_lookup"/*}*/ (/*{lookup_old*/"old_guid"/*}*/, /*{lookup_current*/"current_guid"/*}*/, /*{lookup_depth*/"depth"/*}*/, /*{lookup_status*/"status"/*}*/)
    VALUES (/*{new_old_cell*/NEW.old_guid/*}*/, /*{new_current_cell*/NEW.current_guid/*}*/, NEW.depth, NEW.status);
END;

CREATE TRIGGER mergeguard_lookup_rows_update INSTEAD OF UPDATE ON mergeguard_lookup_rows
BEGIN
    UPDATE /*{lookup*/"mergeguard_lookup"/*}*/ SET /*{lookup_current*/"current_guid"/*}*/ = /*{new_current_cell*/NEW.current_guid/*}*/, /*{lookup_depth*/"depth"/*}*/ = NEW.depth,
        /*{lookup_status*/"status"/*}*/ = NEW.status
    WHERE /*{lookup_old*/"old_guid"/*}*/ = OLD.old_cell;
END;

CREATE TRIGGER mergeguard_lookup_rows_delete INSTEAD OF DELETE ON mergeguard_lookup_rows
BEGIN
    DELETE FROM /*{lookup*/"mergeguard_lookup"/*}*/ WHERE /*{lookup_old*/"old_guid"/*}*/ = OLD.old_cell;
END;

DROP VIEW IF EXISTS mergeguard_roots;
CREATE VIEW mergeguard_roots (guid, turn) AS SELECT /*{root_guid*/guid/*}*/, "turn" FROM /*{roots*/"mergeguard_root"/*}*/;

-- Of a root that is there already only its turn grows.
CREATE TRIGGER mergeguard_roots_insert INSTEAD OF INSERT ON mergeguard_roots
BEGIN
    UPDATE /*{roots*/"mergeguard_root"/*}*/ SET "turn" = "turn" + 1 WHERE "guid" = /*{new_root_cell*/NEW.guid/*}*/;
    INSERT INTO /*{roots*/"mergeguard_root"/*}*/ ("guid", "turn")
    SELECT /*{new_root_cell*/NEW.guid/*}*/, NEW.turn WHERE NOT EXISTS (SELECT 1 FROM /*{roots*/"mergeguard_root"/*}*/ WHERE "guid" = /*{new_root_cell*/NEW.guid/*}*/);
END;

DROP VIEW IF EXISTS mergeguard_never_pairs;
CREATE VIEW mergeguard_never_pairs (one_guid, other_guid, who, why) AS
SELECT /*{one_guid*/one_guid/*}*/, /*{other_guid*/other_guid/*}*/, "who", "why" FROM /*{never*/"mergeguard_never"/*}*/;

DROP VIEW IF EXISTS mergeguard_never_cells;
CREATE VIEW mergeguard_never_cells (one_guid, other_guid, one_cell, other_cell) AS
SELECT /*{one_guid*/one_guid/*}*/, /*{other_guid*/other_guid/*}*/, "one_guid", "other_guid" FROM /*{never*/"mergeguard_never"/*}*/;

CREATE TRIGGER mergeguard_never_pairs_insert INSTEAD OF INSERT ON mergeguard_never_pairs
BEGIN
    INSERT INTO /*{never*/"mergeguard_never"/*}*/ ("one_guid", "other_guid", "who", "why")
    VALUES (/*{new_one_cell*/NEW.one_guid/*}*/, /*{new_other_cell*/NEW.other_guid/*}*/, NEW.who, NEW.why);
END;

CREATE TRIGGER mergeguard_never_pairs_delete INSTEAD OF DELETE ON mergeguard_never_pairs
BEGIN
    DELETE FROM /*{never*/"mergeguard_never"/*}*/ WHERE "one_guid" = /*{gone_one_cell*/OLD.one_guid/*}*/ AND "other_guid" = /*{gone_other_cell*/OLD.other_guid/*}*/;
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
