-- MergeGuard SQL scripts, version 1: postgresql/20_lookup.sql
-- The lookup worked out anew: rebuild_lookup() for all of it, mend_lookup(guids) for what leads to some guids.

-- The name of the merge lock: merges share it; repair, undo and a build of the lookup hold it alone. It never changes.
CREATE OR REPLACE FUNCTION mergeguard.merge_lock_key() RETURNS bigint
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT hashtextextended('mergeguard merges ' || n.nspname || '.' || c.relname, 0)
    FROM mergeguard.places AS p JOIN pg_class AS c ON c.oid = p.merge_table JOIN pg_namespace AS n ON n.oid = c.relnamespace
$mergeguard$;

-- At the other levels a transaction decides on what it saw before it held the locks.
CREATE OR REPLACE FUNCTION mergeguard.require_read_committed() RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
BEGIN
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'mergeguard: isolation: this is done at READ COMMITTED, and the transaction is %',
                upper(current_setting('transaction_isolation'))
            USING HINT = 'SET TRANSACTION ISOLATION LEVEL READ COMMITTED; or CALL mergeguard.merge_guids outside a transaction';
    END IF;
    IF NOT (SELECT p.writable FROM mergeguard.places AS p) THEN
        RAISE EXCEPTION 'mergeguard: unsupported: the guids of these tables are not stored as uuid, and are only read here'
            USING HINT = '''mergeguard merge'' merges them';
    END IF;
END
$mergeguard$;

-- Returns how many rows were not right.
CREATE OR REPLACE FUNCTION mergeguard.rebuild_lookup() RETURNS bigint
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
-- Arrays have no statistics: a loop over one within a loop over another would never end.
SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' SET enable_nestloop = off AS $mergeguard$
DECLARE
    wanted record;
    gone bigint;
    put bigint;
BEGIN
    PERFORM mergeguard.require_read_committed();
    PERFORM pg_advisory_xact_lock(mergeguard.merge_lock_key());
    SELECT array_agg(c.old_guid) AS olds, array_agg(c.current_guid) AS currents, array_agg(c.depth) AS depths,
        array_agg(c.status) AS statuses
    INTO wanted FROM mergeguard.closure() AS c;
    DELETE FROM mergeguard.lookup_rows AS k WHERE NOT EXISTS (
        SELECT 1 FROM unnest(wanted.olds, wanted.currents, wanted.depths, wanted.statuses) AS w (o, c, d, s)
        WHERE w.o = k.old_guid AND (w.c, w.d, w.s) IS NOT DISTINCT FROM (k.current_guid, k.depth, k.status)
    );
    GET DIAGNOSTICS gone = ROW_COUNT;
    INSERT INTO mergeguard.lookup_rows (old_guid, current_guid, depth, status)
    SELECT * FROM unnest(wanted.olds, wanted.currents, wanted.depths, wanted.statuses)
    EXCEPT SELECT k.old_guid, k.current_guid, k.depth, k.status FROM mergeguard.lookup_rows AS k;
    GET DIAGNOSTICS put = ROW_COUNT;
    RETURN greatest(gone, put);
END
$mergeguard$;

-- For a transaction that holds the merge lock alone and has changed rows of some guids.
CREATE OR REPLACE FUNCTION mergeguard.mend_lookup(touched uuid[]) RETURNS bigint
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    behind uuid[];
    written bigint;
BEGIN
    WITH RECURSIVE walk (g) AS (
        SELECT t FROM unnest(touched) AS t
        UNION
        SELECT m.old_guid FROM walk JOIN mergeguard.merge_rows AS m ON m.new_guid = walk.g WHERE m.old_guid IS NOT NULL
    )
    SELECT array_agg(g) INTO behind FROM walk;
    DELETE FROM mergeguard.lookup_rows AS k WHERE k.old_guid = ANY (behind);
    INSERT INTO mergeguard.lookup_rows (old_guid, current_guid, depth, status)
    SELECT a.guid, a.current, a.depth, a.status
    FROM mergeguard.reach(behind) AS g
    CROSS JOIN LATERAL mergeguard.answers(g.nodes, g.starts, g.news) AS a
    WHERE a.guid = ANY (behind)
        AND EXISTS (SELECT 1 FROM mergeguard.merge_rows AS m WHERE m.old_guid = a.guid AND m.new_guid IS NOT NULL);
    GET DIAGNOSTICS written = ROW_COUNT;
    RETURN written;
END
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;

-- A lookup that was made a moment ago is empty, and a merge refuses one that does not say what the rows say.
DO $mergeguard$
BEGIN
    IF (SELECT p.writable FROM mergeguard.places AS p)
        AND NOT EXISTS (SELECT 1 FROM mergeguard.lookup_rows)
        AND EXISTS (SELECT 1 FROM mergeguard.merge_rows AS m WHERE m.old_guid IS NOT NULL) THEN
        PERFORM mergeguard.rebuild_lookup();
    END IF;
END
$mergeguard$;
