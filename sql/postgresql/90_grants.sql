-- MergeGuard SQL scripts, version 1: postgresql/90_grants.sql
-- Three roles without a login, to be granted to people and programs: GRANT mergeguard_scan TO somebody.
-- None of them needs a right on the vendor's tables: views and functions use those of whoever installed them.
-- Run it as somebody who may make roles. Roles belong to the whole server; the rights, to this database.

DO $mergeguard$
DECLARE
    wanted text;
BEGIN
    FOREACH wanted IN ARRAY ARRAY['mergeguard_scan', 'mergeguard_processor', 'mergeguard_repair'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_catalog.pg_roles AS r WHERE r.rolname = wanted) THEN
            EXECUTE pg_catalog.format('CREATE ROLE %I NOLOGIN', wanted);
        END IF;
    END LOOP;
END
$mergeguard$;

GRANT USAGE ON SCHEMA mergeguard TO mergeguard_scan, mergeguard_processor, mergeguard_repair;

-- Reads: the scan, one guid, the lookup, the journal.
GRANT SELECT ON ALL TABLES IN SCHEMA mergeguard TO mergeguard_scan, mergeguard_processor, mergeguard_repair;
GRANT EXECUTE ON FUNCTION mergeguard.scan(), mergeguard.rules_checked(), mergeguard.rings(), mergeguard.closure(boolean),
    mergeguard.current_guid(uuid), mergeguard.reach(uuid[]), mergeguard.graph(boolean), mergeguard.listed(uuid[]),
    mergeguard.numbered(uuid[], uuid[], uuid[]), mergeguard.walked(integer[], integer[]), mergeguard.guid_of(text),
    mergeguard.answers(uuid[], integer[], integer[], boolean)
TO mergeguard_scan, mergeguard_processor, mergeguard_repair;

-- Merges, and nothing else that writes.
GRANT EXECUTE ON FUNCTION mergeguard.merge(uuid, uuid, text, text), mergeguard.preview(uuid, uuid) TO mergeguard_processor, mergeguard_repair;
GRANT EXECUTE ON PROCEDURE mergeguard.merge_guids(uuid, uuid, text, text) TO mergeguard_processor, mergeguard_repair;

-- Takes merges back, rebuilds the lookup, says which guids must never be merged.
GRANT EXECUTE ON FUNCTION mergeguard.unmerge(text), mergeguard.rebuild_lookup() TO mergeguard_repair;
GRANT EXECUTE ON PROCEDURE mergeguard.unmerge_run(text) TO mergeguard_repair;
GRANT INSERT, UPDATE, DELETE ON mergeguard.never_pairs TO mergeguard_repair;
