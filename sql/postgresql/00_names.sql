-- MergeGuard SQL scripts, version 1: postgresql/00_names.sql
-- The names of the vendor's tables, as views; nothing else knows them. The names here are those of the reference schema:
-- edit what stands between the marks, or let 'mergeguard sql show' render this file from a profile.
-- The vendor's tables are read by these views and are not altered. Run it as somebody who may read them and may make a
-- schema: all other files use his rights. Needs PostgreSQL 12 or later and a database in UTF8.

CREATE SCHEMA IF NOT EXISTS mergeguard;
REVOKE ALL ON SCHEMA mergeguard FROM PUBLIC;

-- Our own tables, beside the vendor's; the programs of MergeGuard use the same ones.

CREATE TABLE IF NOT EXISTS /*{runs*/"mergeguard_run"/*}*/ (
    run_id varchar(32) NOT NULL,
    kind varchar(64) NOT NULL,
    who text NOT NULL,
    tool_version varchar(64) NOT NULL,
    started timestamp with time zone NOT NULL,
    reason text NOT NULL,
    finished timestamp with time zone,
    undoes varchar(32),
    PRIMARY KEY (run_id)
);
CREATE TABLE IF NOT EXISTS /*{steps*/"mergeguard_step"/*}*/ (
    run_id varchar(32) NOT NULL,
    step integer NOT NULL,
    component text NOT NULL,
    kinds text NOT NULL,
    members text NOT NULL,
    confidence varchar(64) NOT NULL,
    why text NOT NULL,
    guard_after text NOT NULL,
    evidence text NOT NULL,
    happened timestamp with time zone NOT NULL,
    digest varchar(64) NOT NULL,
    survivor varchar(64),
    undone_by varchar(32),
    PRIMARY KEY (run_id, step)
);
CREATE TABLE IF NOT EXISTS /*{changes*/"mergeguard_change"/*}*/ (
    run_id varchar(32) NOT NULL,
    step integer NOT NULL,
    place integer NOT NULL,
    action varchar(64) NOT NULL,
    table_name text NOT NULL,
    before_image text,
    after_image text,
    PRIMARY KEY (run_id, step, place)
);
CREATE TABLE IF NOT EXISTS /*{roots*/"mergeguard_root"/*}*/ (
    guid /*{guid_type*/uuid/*}*/ NOT NULL,
    turn bigint NOT NULL,
    PRIMARY KEY (guid)
);
CREATE TABLE IF NOT EXISTS /*{never*/"mergeguard_never"/*}*/ (
    one_guid /*{guid_type*/uuid/*}*/ NOT NULL,
    other_guid /*{guid_type*/uuid/*}*/ NOT NULL,
    who text,
    why text,
    PRIMARY KEY (one_guid, other_guid)
);
CREATE TABLE IF NOT EXISTS /*{requests*/"mergeguard_request"/*}*/ (
    request_id varchar(64) NOT NULL,
    run_id varchar(32) NOT NULL,
    answer text NOT NULL,
    PRIMARY KEY (request_id)
);
CREATE TABLE IF NOT EXISTS /*{lookup*/"mergeguard_lookup"/*}*/ (
    /*{lookup_old*/"old_guid"/*}*/ /*{guid_type*/uuid/*}*/ NOT NULL,
    /*{lookup_current*/"current_guid"/*}*/ /*{guid_type*/uuid/*}*/,
    /*{lookup_depth*/"depth"/*}*/ integer,
    /*{lookup_status*/"status"/*}*/ varchar(16) NOT NULL,
    PRIMARY KEY (/*{lookup_old*/"old_guid"/*}*/)
);
-- Without it each merge reads the whole lookup.
CREATE INDEX IF NOT EXISTS /*{lookup_index*/"IX_mergeguard_lookup_current_guid"/*}*/
    ON /*{lookup*/"mergeguard_lookup"/*}*/ (/*{lookup_current*/"current_guid"/*}*/);

-- A guid in any of its spellings; NULL for what is none.
CREATE OR REPLACE FUNCTION mergeguard.guid_of(spelled text) RETURNS uuid LANGUAGE sql IMMUTABLE PARALLEL SAFE
SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT CASE WHEN parts IS NOT NULL AND (parts[1], parts[8]) IN (('', ''), ('{', '}'), ('(', ')'))
        THEN CAST(parts[2] || parts[4] || parts[5] || parts[6] || parts[7] AS uuid) END
    FROM (SELECT regexp_match(lower(spelled), '^\s*(?:urn:uuid:)?([{(]?)([0-9a-f]{8})(-?)([0-9a-f]{4})\3([0-9a-f]{4})\3'
        || '([0-9a-f]{4})\3([0-9a-f]{12})([)}]?)\s*$')) AS matched (parts)
$mergeguard$;

-- The vendor's tables.

CREATE OR REPLACE VIEW mergeguard.merge_rows AS
SELECT /*{row_id*/CAST("Id" AS text)/*}*/ AS row_id,
    /*{old_guid*/"OldGuid"/*}*/ AS old_guid,
    /*{new_guid*/"NewGuid"/*}*/ AS new_guid,
    /*{old_text*/CAST("OldGuid" AS text)/*}*/ AS old_text,
    /*{new_text*/CAST("NewGuid" AS text)/*}*/ AS new_text,
    /*{merged_at*/CAST("MergedAt" AS timestamp with time zone)/*}*/ AS merged_at
FROM /*{merge_table*/"ResourceMerge"/*}*/;

CREATE OR REPLACE VIEW mergeguard.live_guids (guid) AS
/*{live*/SELECT "Guid" FROM "ItemResource" WHERE "Guid" IS NOT NULL/*}*/;

CREATE OR REPLACE VIEW mergeguard.guid_types (guid, type) AS
/*{types*/SELECT "Guid", CAST("ResourceTypeGuid" AS text) FROM "Item" WHERE "Guid" IS NOT NULL AND CAST("ResourceTypeGuid" AS text) IS NOT NULL/*}*/;

-- One row a cell that holds a guid, of all declared reference columns.
CREATE OR REPLACE VIEW mergeguard.reference_guids (reference, guid) AS
/*{references*/SELECT CAST('ResourceKey.ResourceGuid' AS text), "ResourceGuid" FROM "ResourceKey" WHERE "ResourceGuid" IS NOT NULL
UNION ALL SELECT CAST('ResourceUpdateSummary.ResourceGuid' AS text), "ResourceGuid" FROM "ResourceUpdateSummary" WHERE "ResourceGuid" IS NOT NULL
UNION ALL SELECT CAST('Inv_Identification._ResourceGuid' AS text), "_ResourceGuid" FROM "Inv_Identification" WHERE "_ResourceGuid" IS NOT NULL
UNION ALL SELECT CAST('Inv_InstalledSoftware._ResourceGuid' AS text), "_ResourceGuid" FROM "Inv_InstalledSoftware" WHERE "_ResourceGuid" IS NOT NULL
UNION ALL SELECT CAST('Inv_InstalledSoftware._SoftwareComponentGuid' AS text), "_SoftwareComponentGuid" FROM "Inv_InstalledSoftware" WHERE "_SoftwareComponentGuid" IS NOT NULL
UNION ALL SELECT CAST('Evt_Software_Execution._ResourceGuid' AS text), "_ResourceGuid" FROM "Evt_Software_Execution" WHERE "_ResourceGuid" IS NOT NULL
UNION ALL SELECT CAST('ResourceAssociation.ParentResourceGuid' AS text), "ParentResourceGuid" FROM "ResourceAssociation" WHERE "ParentResourceGuid" IS NOT NULL
UNION ALL SELECT CAST('ResourceAssociation.ChildResourceGuid' AS text), "ChildResourceGuid" FROM "ResourceAssociation" WHERE "ChildResourceGuid" IS NOT NULL/*}*/;

CREATE OR REPLACE VIEW mergeguard.declared AS
SELECT /*{has_live*/true/*}*/ AS live, /*{has_types*/true/*}*/ AS types, /*{has_times*/true/*}*/ AS times,
    /*{has_references*/true/*}*/ AS refs, /*{has_deleted*/false/*}*/ AS deleted,
    /*{is_guarded*/false/*}*/ AS guarded, ARRAY[/*{guard_names*/CAST('mergeguard_guard_insert' AS text), CAST('mergeguard_guard_update' AS text)/*}*/] AS guard_triggers;

-- What a merge writes: tables, columns as the catalogue spells them, names as the profile spells them.
CREATE OR REPLACE VIEW mergeguard.places AS
SELECT CAST(/*{merge_place*/'"ResourceMerge"'/*}*/ AS regclass) AS merge_table,
    CAST(/*{merge_name*/'ResourceMerge'/*}*/ AS text) AS merge_name,
    CAST(/*{old_column*/'OldGuid'/*}*/ AS name) AS old_column,
    CAST(/*{new_column*/'NewGuid'/*}*/ AS name) AS new_column,
    CAST(/*{time_column*/'MergedAt'/*}*/ AS name) AS time_column,
    CAST(/*{key_column*/'MergeKey'/*}*/ AS name) AS key_column,
    -- Whether an index begins with the new, so that the merges into a guid are found without reading all.
    /*{new_indexed*/true/*}*/ AS new_indexed,
    -- Whether all guids are stored as uuid: others are read, and not written by these scripts.
    /*{writable*/true/*}*/ AS writable,
    CAST(/*{live_place*/'"ItemResource"'/*}*/ AS regclass) AS live_table,
    CAST(/*{live_name*/'ItemResource'/*}*/ AS text) AS live_name,
    CAST(/*{live_column*/'Guid'/*}*/ AS name) AS live_column,
    CAST(/*{live_where*/NULL/*}*/ AS text) AS live_where;

-- Reference columns by table. "plain" ones are just re-pointed: nothing in their table is unique, linked or hashed. "rules" say of
-- the others what must hold there; a table without rules is left to 'mergeguard merge', where "holds" finds a root in it.
CREATE OR REPLACE VIEW mergeguard.reference_places (place, name, columns, plain, rules, holds) AS
/*{reference_places*/SELECT CAST('"ResourceUpdateSummary"' AS regclass), CAST('ResourceUpdateSummary' AS text), CAST(ARRAY['ResourceGuid'] AS name[]), false, CAST('{"columns": ["ResourceGuid"], "guids": ["ResourceGuid"], "ends": [], "unique": [{"columns": ["InventoryClassGuid", "ResourceGuid"], "nulls": false}], "names": [], "cleared": ["DataHash"], "time": "ModifiedDate", "order": "LastEventId", "sets": null, "links": null, "data_class": null}' AS jsonb), CAST('"ResourceGuid" = $1' AS text)
UNION ALL SELECT CAST('"ResourceKey"' AS regclass), CAST('ResourceKey' AS text), CAST(ARRAY['ResourceGuid'] AS name[]), false, CAST('{"columns": ["ResourceGuid"], "guids": ["ResourceGuid"], "ends": [], "unique": [{"columns": ["ResourceGuid", "KeyName", "KeyValue"], "nulls": true}], "names": [], "cleared": [], "time": null, "order": null, "sets": null, "links": null, "data_class": null}' AS jsonb), CAST('"ResourceGuid" = $1' AS text)
UNION ALL SELECT CAST('"Inv_Identification"' AS regclass), CAST('Inv_Identification' AS text), CAST(ARRAY['_ResourceGuid'] AS name[]), false, CAST('{"columns": ["_ResourceGuid"], "guids": ["_ResourceGuid"], "ends": [], "unique": [{"columns": ["_ResourceGuid"], "nulls": true}], "names": ["_id"], "cleared": [], "time": null, "order": null, "sets": "_ResourceGuid", "links": null, "data_class": null}' AS jsonb), CAST('"_ResourceGuid" = $1' AS text)
UNION ALL SELECT CAST('"Inv_InstalledSoftware"' AS regclass), CAST('Inv_InstalledSoftware' AS text), CAST(ARRAY['_ResourceGuid', '_SoftwareComponentGuid'] AS name[]), false, CAST('{"columns": ["_ResourceGuid", "_SoftwareComponentGuid"], "guids": ["_ResourceGuid", "_SoftwareComponentGuid"], "ends": [], "unique": [{"columns": ["_ResourceGuid", "_SoftwareComponentGuid"], "nulls": true}], "names": ["_id"], "cleared": [], "time": null, "order": null, "sets": "_ResourceGuid", "links": null, "data_class": null}' AS jsonb), CAST('"_ResourceGuid" = $1 OR "_SoftwareComponentGuid" = $1' AS text)
UNION ALL SELECT CAST('"Evt_Software_Execution"' AS regclass), CAST('Evt_Software_Execution' AS text), CAST(ARRAY['_ResourceGuid'] AS name[]), false, CAST('{"columns": ["_ResourceGuid"], "guids": ["_ResourceGuid"], "ends": [], "unique": [], "names": ["_id"], "cleared": [], "time": null, "order": null, "sets": null, "links": null, "data_class": null}' AS jsonb), CAST('"_ResourceGuid" = $1' AS text)
UNION ALL SELECT CAST('"ResourceAssociation"' AS regclass), CAST('ResourceAssociation' AS text), CAST(ARRAY['ParentResourceGuid', 'ChildResourceGuid'] AS name[]), false, CAST('{"columns": ["ParentResourceGuid", "ChildResourceGuid"], "guids": ["ChildResourceGuid", "ParentResourceGuid", "ResourceAssociationTypeGuid"], "ends": [["ParentResourceGuid", "ChildResourceGuid"]], "unique": [{"columns": ["ResourceAssociationTypeGuid", "ParentResourceGuid", "ChildResourceGuid"], "nulls": true}], "names": [], "cleared": [], "time": "CreatedDate", "order": "EventId", "sets": null, "links": {"parent": "ParentResourceGuid", "type": "ResourceAssociationTypeGuid"}, "data_class": null}' AS jsonb), CAST('"ParentResourceGuid" = $1 OR "ChildResourceGuid" = $1' AS text)/*}*/;

-- Where the hash of the data stands that was last loaded for a guid and a class, and which class the data of a table are.
CREATE OR REPLACE VIEW mergeguard.hash_places (place, name, guid_column, class_column, hash_column, time_column, order_column) AS
/*{hash_places*/SELECT CAST('"ResourceUpdateSummary"' AS regclass), CAST('ResourceUpdateSummary' AS text), CAST('ResourceGuid' AS name), CAST('InventoryClassGuid' AS name), CAST('DataHash' AS name), CAST('ModifiedDate' AS name), CAST('LastEventId' AS name)/*}*/;

CREATE OR REPLACE VIEW mergeguard.hash_classes (name, class) AS
/*{hash_classes*/SELECT CAST("TableName" AS text), CAST("Guid" AS text) FROM "DataClass"/*}*/;

-- How many links of a type one parent may have.
CREATE OR REPLACE VIEW mergeguard.link_maxima (type, maximum) AS
/*{link_maxima*/SELECT "Guid", CASE WHEN btrim(CAST("MaximumCardinality" AS text)) ~ '^[0-9]{1,9}$' THEN CAST(btrim(CAST("MaximumCardinality" AS text)) AS integer) END FROM "ResourceAssociationType"/*}*/;

-- The table of agents whose guid was merged away: when it holds one ($1), what is inserted ($2 is what it is now), and when an agent
-- manages it.
CREATE OR REPLACE VIEW mergeguard.black_lists (place, name, holds, inserted, managed_place, managed_holds) AS
/*{black_list*/SELECT CAST('"AgentBlacklist"' AS regclass), CAST('AgentBlacklist' AS text), CAST('"Guid" = $1' AS text), CAST('("Guid", "ReplacedBy", "BlacklistedAt") VALUES ($1, $2, clock_timestamp())' AS text), CAST('"ItemResource"' AS regclass), CAST('"Guid" = $1 AND lower(btrim(CAST("IsManaged" AS text))) IN (''1'', ''true'', ''t'', ''yes'', ''y'')' AS text)/*}*/;

-- Our own tables under names that never change.

CREATE OR REPLACE VIEW mergeguard.lookup_rows AS
SELECT /*{lookup_old_guid*/"old_guid"/*}*/ AS old_guid, /*{lookup_current_guid*/"current_guid"/*}*/ AS current_guid,
    /*{lookup_depth*/"depth"/*}*/ AS depth, /*{lookup_status*/"status"/*}*/ AS status
FROM /*{lookup*/"mergeguard_lookup"/*}*/;

CREATE OR REPLACE VIEW mergeguard.roots AS
SELECT /*{root_guid*/guid/*}*/ AS guid, turn FROM /*{roots*/"mergeguard_root"/*}*/;

CREATE OR REPLACE VIEW mergeguard.never_pairs AS
SELECT /*{one_guid*/one_guid/*}*/ AS one_guid, /*{other_guid*/other_guid/*}*/ AS other_guid, who, why
FROM /*{never*/"mergeguard_never"/*}*/;

CREATE OR REPLACE VIEW mergeguard.requests AS SELECT request_id, run_id, answer FROM /*{requests*/"mergeguard_request"/*}*/;

CREATE OR REPLACE VIEW mergeguard.journal_runs AS
SELECT run_id, kind, who, tool_version, started, reason, finished, undoes FROM /*{runs*/"mergeguard_run"/*}*/;

CREATE OR REPLACE VIEW mergeguard.journal_steps AS
SELECT run_id, step, component, kinds, members, confidence, why, guard_after, evidence, happened, digest, survivor, undone_by
FROM /*{steps*/"mergeguard_step"/*}*/;

CREATE OR REPLACE VIEW mergeguard.journal_changes AS
SELECT run_id, step, place, action, table_name, before_image, after_image FROM /*{changes*/"mergeguard_change"/*}*/;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
