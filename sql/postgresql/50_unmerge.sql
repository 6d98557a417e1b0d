-- MergeGuard SQL scripts, version 1: postgresql/50_unmerge.sql
-- unmerge(run_id): what a merge changed is put back, where nothing has changed since; as 'mergeguard undo' does.

CREATE OR REPLACE FUNCTION mergeguard.unmerge(run_id text) RETURNS json
LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' SET timezone = 'UTC' SET datestyle = 'ISO'
SET intervalstyle = 'postgres' SET extra_float_digits = 3 SET bytea_output = 'hex' SET xmloption = 'content' AS $mergeguard$
DECLARE
    p record;
    run record;
    step record;
    change record;
    place regclass;
    own text := replace(CAST(mergeguard.random_guid() AS text), '-', '');
    members uuid[];
    now_there text[];
    then_there text[];
    changed integer := 0;
    lookup_count bigint;
BEGIN
    PERFORM mergeguard.require_read_committed();
    SELECT * INTO p FROM mergeguard.places;
    PERFORM pg_advisory_xact_lock(mergeguard.merge_lock_key());
    EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', p.merge_table);
    SELECT * INTO run FROM mergeguard.journal_runs AS r WHERE r.run_id = unmerge.run_id;
    IF NOT FOUND OR run.kind <> 'merge' THEN
        PERFORM mergeguard.refuse('unknown-run', format('the journal knows no merge %s', coalesce(unmerge.run_id, 'NULL')),
            'SELECT * FROM mergeguard.journal_runs lists them; ''mergeguard undo'' takes back the other kinds');
    END IF;
    SELECT * INTO step FROM mergeguard.journal_steps AS s WHERE s.run_id = unmerge.run_id AND s.step = 1;
    IF NOT FOUND OR step.digest <> mergeguard.digest_of(unmerge.run_id, 1) THEN
        PERFORM mergeguard.refuse('journal-damaged', 'the journal of this merge was altered after it was written');
    END IF;
    IF step.undone_by IS NOT NULL THEN
        PERFORM mergeguard.refuse('undone', 'run ' || unmerge.run_id || ' was taken back by run ' || step.undone_by || ' before');
    END IF;
    SELECT array_agg(CAST(m AS uuid)) INTO members FROM json_array_elements_text(CAST(step.members AS json)) AS m;
    now_there := mergeguard.images_of(members);
    SELECT coalesce(array_agg(e.i ORDER BY e.i), '{}') INTO then_there
    FROM (SELECT CAST(CAST(a AS jsonb) AS text) AS i FROM json_array_elements(CAST(step.guard_after AS json)) AS a) AS e;
    IF now_there <> then_there THEN
        PERFORM mergeguard.refuse('stale', 'rows of the merge table changed since the merge, and nothing was taken back');
    END IF;
    -- A repair says so to the guard: rows that were there before may be put back.
    PERFORM set_config('mergeguard.restoring', 'on', true);
    FOR change IN SELECT * FROM mergeguard.journal_changes AS c
        WHERE c.run_id = unmerge.run_id AND c.step = 1 ORDER BY c.place DESC
    LOOP
        place := mergeguard.place_of(change.table_name);
        IF NOT mergeguard.change_row(place, change.after_image, change.before_image) THEN
            PERFORM mergeguard.refuse('stale', format('a row of %s changed since the merge, and nothing was taken back', change.table_name));
        END IF;
        changed := changed + 1;
    END LOOP;
    PERFORM set_config('mergeguard.restoring', '', true);
    INSERT INTO mergeguard.journal_runs (run_id, kind, who, tool_version, started, finished, undoes, reason)
    VALUES (own, 'undo', session_user, 'sql 1', clock_timestamp(), clock_timestamp(), unmerge.run_id, '');
    UPDATE mergeguard.journal_steps AS s SET undone_by = own WHERE s.run_id = unmerge.run_id AND s.step = 1;
    lookup_count := mergeguard.mend_lookup(members);
    RETURN json_build_object('run_id', own, 'undoes', unmerge.run_id, 'rows', changed, 'lookup_rows', lookup_count);
END
$mergeguard$;

-- All rows of some olds in the merge table, as images in one order.
CREATE OR REPLACE FUNCTION mergeguard.images_of(olds uuid[]) RETURNS text[]
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    p record;
    found_images text[];
BEGIN
    SELECT * INTO p FROM mergeguard.places;
    EXECUTE format('SELECT coalesce(array_agg(i ORDER BY i), ''{}'') FROM (SELECT CAST(CAST(%s AS jsonb) AS text) AS i FROM %s '
        'WHERE %I = ANY ($1)) AS found', mergeguard.image_sql(p.merge_table), p.merge_table, p.old_column)
    INTO found_images USING olds;
    RETURN found_images;
END
$mergeguard$;

CREATE OR REPLACE PROCEDURE mergeguard.unmerge_run(run_id text) LANGUAGE plpgsql AS $mergeguard$
BEGIN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    PERFORM mergeguard.unmerge(run_id);
    COMMIT;
END
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
