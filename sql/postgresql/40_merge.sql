-- MergeGuard SQL scripts, version 1: postgresql/40_merge.sql
-- merge(old, new): one resource into another, so that no cycle can come of it; merge_guids does it in a transaction of its own.
-- The same locks in the same order as 'mergeguard merge': both may run at the same time.

CREATE OR REPLACE FUNCTION mergeguard.refuse(reason text, message text, hint text DEFAULT NULL) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
BEGIN
    RAISE EXCEPTION 'mergeguard: %: %', reason, message USING CONSTRAINT = 'mergeguard ' || reason, HINT = coalesce(hint,
        CASE
            WHEN reason IN ('in-cycle', 'split', 'shadowed-live') THEN
                'SELECT * FROM mergeguard.scan() shows it; ''mergeguard plan'' proposes what to do about it'
            WHEN reason IN ('cycle', 'dead-target', 'unknown-guid') THEN
                'SELECT * FROM mergeguard.current_guid(...) tells what a guid is now'
            WHEN reason = 'never-merge' THEN 'the pair stands in mergeguard.never_pairs'
            ELSE 'nothing was changed'
        END);
END
$mergeguard$;

-- Where both guids lead, with all guids on both ways.
CREATE OR REPLACE FUNCTION mergeguard.roots_of(asked_old uuid, asked_new uuid, OUT old_root uuid, OUT new_root uuid,
    OUT guids uuid[], OUT currents uuid[], OUT depths integer[], OUT statuses text[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
BEGIN
    IF asked_old IS NULL OR asked_new IS NULL THEN
        PERFORM mergeguard.refuse('unknown-guid', 'both guids must be given');
    END IF;
    SELECT array_agg(a.guid), array_agg(a.current), array_agg(a.depth), array_agg(a.status)
    INTO guids, currents, depths, statuses
    FROM mergeguard.reach(ARRAY[asked_old, asked_new]) AS g
    CROSS JOIN LATERAL mergeguard.answers(g.nodes, g.starts, g.news) AS a;
    old_root := currents[array_position(guids, asked_old)];
    new_root := currents[array_position(guids, asked_new)];
END
$mergeguard$;

-- Refuse what has no two roots, or none that may be merged. Behind the locks: a merge that commits between two reads looks like damage.
CREATE OR REPLACE FUNCTION mergeguard.require_roots(asked_old uuid, asked_new uuid, old_root uuid, new_root uuid,
    guids uuid[], statuses text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    status_old text := statuses[array_position(guids, asked_old)];
    status_new text := statuses[array_position(guids, asked_new)];
    each uuid;
BEGIN
    IF asked_old = asked_new THEN
        PERFORM mergeguard.refuse('self-merge', asked_old || ' cannot be merged with itself');
    END IF;
    FOREACH each IN ARRAY ARRAY[asked_old, asked_new] LOOP
        IF statuses[array_position(guids, each)] = 'cycle' THEN
            PERFORM mergeguard.refuse('in-cycle', 'the merges of ' || each || ' lead in a circle');
        ELSIF statuses[array_position(guids, each)] = 'split' THEN
            PERFORM mergeguard.refuse('split', 'the merges of ' || each || ' lead to two guids at once');
        END IF;
    END LOOP;
    IF old_root = new_root AND asked_old = old_root THEN
        PERFORM mergeguard.refuse('cycle', format('%s was merged into %s before: merging %s into it would close a circle',
            asked_new, asked_old, asked_old));
    END IF;
    IF status_new <> 'ok' THEN
        PERFORM mergeguard.refuse('dead-target', format('%s %s, so nothing can be merged into it', coalesce(new_root, asked_new),
            CASE status_new WHEN 'deleted' THEN 'was deleted' ELSE 'is not live' END));
    END IF;
    IF status_old <> 'ok' THEN
        PERFORM mergeguard.refuse('unknown-guid', format('%s %s, so there is nothing to merge', coalesce(old_root, asked_old),
            CASE status_old WHEN 'deleted' THEN 'was deleted' ELSE 'is no resource that is live' END));
    END IF;
    FOREACH each IN ARRAY ARRAY[old_root, new_root] LOOP
        IF EXISTS (SELECT 1 FROM mergeguard.merge_rows AS m WHERE m.old_guid = each) THEN
            PERFORM mergeguard.refuse('shadowed-live', each || ' is live and a row merges it away as well: that merge was never finished');
        END IF;
    END LOOP;
END
$mergeguard$;

-- Refuse what people, types or a lookup that has drifted forbid.
CREATE OR REPLACE FUNCTION mergeguard.require_allowed(asked_old uuid, asked_new uuid, old_root uuid, new_root uuid,
    guids uuid[], currents uuid[], depths integer[], statuses text[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    old_type text;
    new_type text;
    why text;
    wrong uuid;
BEGIN
    old_type := (SELECT max(t.type) FROM mergeguard.guid_types AS t WHERE t.guid = old_root);
    new_type := (SELECT max(t.type) FROM mergeguard.guid_types AS t WHERE t.guid = new_root);
    IF old_type <> new_type THEN
        PERFORM mergeguard.refuse('type-mismatch', format('%s is of the type %s and %s of the type %s', asked_old, old_type,
            asked_new, new_type), 'only resources of one type can be one');
    END IF;
    SELECT coalesce(n.why, n.who, 'no reason is written down') INTO why
    FROM mergeguard.never_pairs AS n
    LEFT JOIN mergeguard.lookup_rows AS a ON a.old_guid = n.one_guid
    LEFT JOIN mergeguard.lookup_rows AS b ON b.old_guid = n.other_guid
    WHERE (coalesce(a.current_guid, n.one_guid), coalesce(b.current_guid, n.other_guid))
        IN ((old_root, new_root), (new_root, old_root));
    IF FOUND THEN
        PERFORM mergeguard.refuse('never-merge', format('%s and %s must never be merged: %s', asked_old, asked_new, why));
    END IF;
    -- All guids on both ways, and some that lead to the old root: moving the class of a wrong lookup would make it worse.
    SELECT said.guid INTO wrong
    FROM unnest(guids, currents, depths, statuses) AS said (guid, current, depth, status)
    LEFT JOIN mergeguard.lookup_rows AS k ON k.old_guid = said.guid
    WHERE CASE WHEN EXISTS (SELECT 1 FROM mergeguard.merge_rows AS m WHERE m.old_guid = said.guid AND m.new_guid IS NOT NULL)
        THEN (k.current_guid, k.depth, k.status) IS DISTINCT FROM (said.current, said.depth, said.status)
        ELSE k.old_guid IS NOT NULL END
    LIMIT 1;
    IF NOT FOUND AND (SELECT p.new_indexed FROM mergeguard.places AS p) THEN
        SELECT near.old_guid INTO wrong
        FROM (
            SELECT m.old_guid FROM mergeguard.merge_rows AS m
            WHERE m.new_guid = old_root AND m.old_guid <> old_root LIMIT 64
        ) AS near
        LEFT JOIN mergeguard.lookup_rows AS k ON k.old_guid = near.old_guid
        WHERE k.old_guid IS NULL
            OR NOT (k.status <> 'ok' OR coalesce(k.current_guid = old_root, false) OR coalesce(k.current_guid = near.old_guid, false))
        LIMIT 1;
    END IF;
    IF wrong IS NOT NULL THEN
        PERFORM mergeguard.refuse('lookup-drift', 'the stored lookup does not say of ' || wrong || ' what the merges say',
            'SELECT mergeguard.rebuild_lookup() brings it after the merges');
    END IF;
END
$mergeguard$;

-- What the request id answered before; NULL where it is new.
CREATE OR REPLACE FUNCTION mergeguard.answered(request_id text, asked_old uuid, asked_new uuid) RETURNS json
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    said json;
BEGIN
    SELECT CAST(r.answer AS json) INTO said FROM mergeguard.requests AS r WHERE r.request_id = answered.request_id;
    IF said IS NOT NULL AND (CAST(said ->> 'old' AS uuid), CAST(said ->> 'new' AS uuid)) <> (asked_old, asked_new) THEN
        PERFORM mergeguard.refuse('request-reused', format('request %s merged %s into %s, and now it asks for another merge',
            request_id, said ->> 'old', said ->> 'new'), 'give each merge a request id of its own');
    END IF;
    RETURN said;
END
$mergeguard$;

-- Refuse to merge without the guard where the profile wants one.
CREATE OR REPLACE FUNCTION mergeguard.require_guard() RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
BEGIN
    IF (SELECT d.guarded AND (
            SELECT count(*) FROM pg_trigger AS t CROSS JOIN mergeguard.places AS p
            WHERE t.tgrelid = p.merge_table AND CAST(t.tgname AS text) = ANY (d.guard_triggers) AND t.tgenabled IN ('O', 'A')
        ) < cardinality(d.guard_triggers) FROM mergeguard.declared AS d) THEN
        PERFORM mergeguard.refuse('no-guard', 'the profile wants the merge table guarded, and its guard is missing or disabled',
            '''mergeguard guard install'' or 80_guard.sql puts it up');
    END IF;
END
$mergeguard$;

-- Whether something tells the rows of a table apart.
CREATE OR REPLACE FUNCTION mergeguard.has_key(place regclass) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT EXISTS (
        SELECT 1 FROM pg_index AS i
        WHERE i.indrelid = place AND i.indisunique AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL
            AND NOT EXISTS (
                SELECT 1 FROM unnest(CAST(i.indkey AS smallint[])) WITH ORDINALITY AS k (n, at)
                JOIN pg_attribute AS a ON a.attrelid = place AND a.attnum = k.n
                WHERE k.at <= i.indnkeyatts AND (NOT a.attnotnull OR a.attgenerated <> '')
            )
    )
$mergeguard$;

-- Insert the row of a merge; return it as the database holds it now.
CREATE OR REPLACE FUNCTION mergeguard.write_merge(old_root uuid, new_root uuid, merge_key text) RETURNS text
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    p record;
    image text;
    key_type text;
BEGIN
    SELECT * INTO p FROM mergeguard.places;
    IF merge_key IS NOT NULL AND p.key_column IS NULL THEN
        PERFORM mergeguard.refuse('usage', 'the profile names no column for the key');
    END IF;
    SELECT format_type(a.atttypid, a.atttypmod) INTO key_type FROM pg_attribute AS a
    WHERE a.attrelid = p.merge_table AND a.attname = p.key_column;
    EXECUTE format('INSERT INTO %s (%I, %I%s%s) VALUES ($1, $2%s%s) RETURNING %s', p.merge_table, p.old_column, p.new_column,
        CASE WHEN p.time_column IS NULL THEN '' ELSE format(', %I', p.time_column) END,
        CASE WHEN merge_key IS NULL THEN '' ELSE format(', %I', p.key_column) END,
        CASE WHEN p.time_column IS NULL THEN '' ELSE ', clock_timestamp()' END,
        CASE WHEN merge_key IS NULL THEN '' ELSE format(', CAST($3 AS %s)', key_type) END,
        mergeguard.image_sql(p.merge_table)) INTO image USING old_root, new_root, merge_key;
    IF image IS NULL OR (CAST(image AS json) ->> p.old_column, CAST(image AS json) ->> p.new_column)
        IS DISTINCT FROM (CAST(old_root AS text), CAST(new_root AS text)) THEN
        RAISE EXCEPTION 'mergeguard: write: the database stored something else than the merge that it was told'
            USING HINT = 'look for triggers, rules or policies on the table';
    END IF;
    RETURN image;
END
$mergeguard$;

-- Put an agent that is merged away on the black list: it must take another guid. The row, NULL where there is nothing to do.
CREATE OR REPLACE FUNCTION mergeguard.write_black_list(old_root uuid, new_root uuid, OUT name text, OUT image text)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    b record;
    listed boolean;
    wanted boolean := true;
BEGIN
    SELECT * INTO b FROM mergeguard.black_lists;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s WHERE %s)', b.place, b.holds) INTO listed USING old_root;
    IF b.managed_place IS NOT NULL THEN
        EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s WHERE %s)', b.managed_place, b.managed_holds) INTO wanted USING old_root;
    END IF;
    IF listed OR NOT wanted THEN
        RETURN;
    END IF;
    EXECUTE format('INSERT INTO %s %s RETURNING %s', b.place, b.inserted, mergeguard.image_sql(b.place)) INTO image
        USING old_root, new_root;
    EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s WHERE %s)', b.place, b.holds) INTO listed USING old_root;
    IF image IS NULL OR NOT listed THEN
        RAISE EXCEPTION 'mergeguard: write: the agent that was put on the black list is not there'
            USING HINT = 'look for triggers, rules or policies on the table';
    END IF;
    name := b.name;
END
$mergeguard$;

-- The advisory lock by which merges and importers of a guid take turns; the same number that the programs take.
CREATE OR REPLACE FUNCTION mergeguard.turn_of(guid uuid) RETURNS bigint
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT CAST(CAST('x' || left(h.digits, 16) AS bit(64)) # CAST('x' || right(h.digits, 16) AS bit(64))
        # CAST('x8000000000000000' AS bit(64)) AS bigint)
    FROM (SELECT replace(CAST(guid AS text), '-', '')) AS h (digits)
$mergeguard$;

-- Write a merge into the journal as MergeGuard does, so that its undo takes it back.
CREATE OR REPLACE FUNCTION mergeguard.journal_merge(run text, request_id text, asked_old uuid, asked_new uuid, old_root uuid,
    new_root uuid, image text, actions text[], tables text[], befores text[], afters text[], columns json) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
BEGIN
    INSERT INTO mergeguard.journal_runs (run_id, kind, who, tool_version, started, finished, reason)
    VALUES (run, 'merge', session_user, 'sql 1', clock_timestamp(), clock_timestamp(),
        CASE WHEN request_id IS NULL THEN '' ELSE 'request ' || request_id END);
    INSERT INTO mergeguard.journal_changes (run_id, step, place, action, table_name, before_image, after_image)
    SELECT run, 1, c.n - 1, c.action, c.name, c.before, c.after
    FROM unnest(actions, tables, befores, afters) WITH ORDINALITY AS c (action, name, before, after, n);
    INSERT INTO mergeguard.journal_steps (run_id, step, component, kinds, members, survivor, confidence, why, guard_after,
        evidence, happened, digest)
    VALUES (run, 1, 'merge:' || old_root, '["merge"]', '["' || old_root || '"]', new_root, 'ordered',
        asked_old || ' was to be merged into ' || asked_new, '[' || image || ']',
        mergeguard.ascii_of(CAST(json_build_object('columns',
            (SELECT coalesce(json_object_agg(c.key, c.value -> 'rows'), '{}') FROM json_each(columns) AS c)) AS text)), clock_timestamp(), '');
    UPDATE mergeguard.journal_steps AS s SET digest = mergeguard.digest_of(run, 1) WHERE s.run_id = run AND s.step = 1;
END
$mergeguard$;

-- What a merge did, as the JSON that answers its request id; the same that MergeGuard writes.
CREATE OR REPLACE FUNCTION mergeguard.answer_of(asked_old uuid, asked_new uuid, old_root uuid, new_root uuid, request_id text,
    run text, image text, lookup_count bigint, live_count integer, hashes_cleared integer, columns json) RETURNS json
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT CAST(mergeguard.ascii_of(CAST(json_build_object('old', asked_old, 'new', asked_new, 'old_root', old_root,
        'new_root', new_root, 'already', run IS NULL, 'run_id', run, 'request_id', request_id, 'repeated', false,
        'row', CAST(image AS json), 'lookup_rows', lookup_count, 'live_rows', live_count,
        'hashes_cleared', hashes_cleared, 'columns', columns,
        'notes', CAST('[]' AS json), 'preview', false, 'refused', NULL) AS text)) AS json)
$mergeguard$;

-- Lock and write both roots, and share what nobody may merge meanwhile, all in the order of the texts. Written, not only locked:
-- who merges one of them too waits here. Importers share the row, and those who come later would pass for ever, did they not queue
-- behind the turn of the guid.
CREATE OR REPLACE FUNCTION mergeguard.lock_roots(old_root uuid, new_root uuid, beside uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    each uuid;
BEGIN
    FOREACH each IN ARRAY ARRAY(SELECT DISTINCT u FROM unnest(beside || ARRAY[old_root, new_root]) AS u ORDER BY u) LOOP
        IF each IN (old_root, new_root) THEN
            PERFORM pg_advisory_xact_lock(mergeguard.turn_of(each));
            INSERT INTO mergeguard.roots AS r (guid, turn) VALUES (each, 1) ON CONFLICT (guid) DO UPDATE SET turn = r.turn + 1;
        ELSE
            PERFORM mergeguard.share_roots(ARRAY[each]);
        END IF;
    END LOOP;
END
$mergeguard$;

-- One try; the roots that it locked must still be the roots behind the lock.
CREATE OR REPLACE FUNCTION mergeguard.merge_once(asked_old uuid, asked_new uuid, request_id text, merge_key text, in_one_order boolean)
RETURNS json LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    seen record;
    roots record;
    said json;
    beside uuid[] := '{}';
BEGIN
    said := mergeguard.answered(request_id, asked_old, asked_new);
    IF said IS NOT NULL THEN
        RETURN CAST(CAST(said AS jsonb) || '{"repeated": true}' AS json);
    END IF;
    PERFORM mergeguard.require_guard();
    SELECT * INTO seen FROM mergeguard.roots_of(asked_old, asked_new);
    seen.old_root := coalesce(seen.old_root, asked_old);
    seen.new_root := coalesce(seen.new_root, asked_new);
    -- Two that hold their roots and wait for what the other's rows refer to would be victims of one deadlock again and again.
    IF in_one_order AND seen.old_root <> seen.new_root THEN
        beside := mergeguard.around_of(mergeguard.survivals(seen.old_root, seen.new_root));
    END IF;
    PERFORM mergeguard.lock_roots(seen.old_root, seen.new_root, beside);
    SELECT * INTO roots FROM mergeguard.roots_of(asked_old, asked_new);
    IF (coalesce(roots.old_root, asked_old), coalesce(roots.new_root, asked_new)) <> (seen.old_root, seen.new_root) THEN
        RAISE EXCEPTION 'mergeguard: moved: other merges took the roots of % and %', asked_old, asked_new USING ERRCODE = 'MGMVD';
    END IF;
    PERFORM mergeguard.require_roots(asked_old, asked_new, roots.old_root, roots.new_root, roots.guids, roots.statuses);
    said := mergeguard.answered(request_id, asked_old, asked_new);
    IF said IS NOT NULL THEN
        RETURN CAST(CAST(said AS jsonb) || '{"repeated": true}' AS json);
    END IF;
    IF roots.old_root = roots.new_root THEN
        said := mergeguard.answer_of(asked_old, asked_new, roots.old_root, roots.new_root, request_id, NULL, NULL, 0, 0, 0, '{}');
    ELSE
        PERFORM mergeguard.require_allowed(asked_old, asked_new, roots.old_root, roots.new_root,
            roots.guids, roots.currents, roots.depths, roots.statuses);
        said := mergeguard.merge_roots(asked_old, asked_new, roots.old_root, roots.new_root, request_id, merge_key, beside);
    END IF;
    IF request_id IS NOT NULL THEN
        INSERT INTO mergeguard.requests (request_id, run_id, answer)
        VALUES (merge_once.request_id, coalesce(said ->> 'run_id', ''), CAST(said AS text));
    END IF;
    RETURN said;
END
$mergeguard$;

-- Write all that belongs to a merge that is allowed.
CREATE OR REPLACE FUNCTION mergeguard.merge_roots(asked_old uuid, asked_new uuid, old_root uuid, new_root uuid,
    request_id text, merge_key text, held uuid[]) RETURNS json
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    p record;
    moved record;
    listed record;
    image text;
    gone text;
    live_rows text[] := '{}';
    lookup_count bigint;
    run text := replace(CAST(mergeguard.random_guid() AS text), '-', '');
BEGIN
    SELECT * INTO p FROM mergeguard.places;
    IF NOT mergeguard.has_key(p.merge_table) OR (p.live_table IS NOT NULL AND NOT mergeguard.has_key(p.live_table)) THEN
        PERFORM mergeguard.refuse('no-key', 'a table has no primary key, so its rows cannot be told apart and no merge could be '
            'taken back', 'give it one: ALTER TABLE ... ADD ... PRIMARY KEY');
    END IF;
    SELECT * INTO moved FROM mergeguard.move_references(old_root, new_root, held);
    image := mergeguard.write_merge(old_root, new_root, merge_key);
    -- While its row still says whether an agent manages it.
    SELECT b.name, b.image INTO listed FROM mergeguard.write_black_list(old_root, new_root) AS b WHERE b.image IS NOT NULL;
    IF p.live_table IS NOT NULL THEN
        FOR gone IN EXECUTE format('DELETE FROM %s WHERE %I = $1%s RETURNING %s', p.live_table, p.live_column,
            CASE WHEN p.live_where IS NULL THEN '' ELSE ' AND (' || p.live_where || ')' END, mergeguard.image_sql(p.live_table))
            USING old_root
        LOOP
            live_rows := live_rows || gone;
        END LOOP;
    END IF;
    UPDATE mergeguard.lookup_rows AS k SET current_guid = new_root, depth = k.depth + 1 WHERE k.current_guid = old_root;
    GET DIAGNOSTICS lookup_count = ROW_COUNT;
    INSERT INTO mergeguard.lookup_rows (old_guid, current_guid, depth, status) VALUES (old_root, new_root, 1, 'ok');
    PERFORM mergeguard.journal_merge(run, request_id, asked_old, asked_new, old_root, new_root, image,
        ARRAY['merge'] || moved.actions || array_fill(CAST('remove' AS text), ARRAY[cardinality(live_rows)])
            || CASE WHEN listed.image IS NULL THEN '{}' ELSE ARRAY['black-list'] END,
        ARRAY[p.merge_name] || moved.tables || array_fill(p.live_name, ARRAY[cardinality(live_rows)])
            || CASE WHEN listed.image IS NULL THEN '{}' ELSE ARRAY[listed.name] END,
        ARRAY[CAST(NULL AS text)] || moved.befores || live_rows
            || CASE WHEN listed.image IS NULL THEN '{}' ELSE ARRAY[CAST(NULL AS text)] END,
        ARRAY[image] || moved.afters || array_fill(CAST(NULL AS text), ARRAY[cardinality(live_rows)])
            || CASE WHEN listed.image IS NULL THEN '{}' ELSE ARRAY[listed.image] END, moved.counts);
    RETURN mergeguard.answer_of(asked_old, asked_new, old_root, new_root, request_id, run, image, lookup_count + 1,
        cardinality(live_rows), moved.hashes_cleared, moved.counts);
END
$mergeguard$;

-- A version 4 guid; gen_random_uuid() is there since PostgreSQL 13.
CREATE OR REPLACE FUNCTION mergeguard.random_guid() RETURNS uuid
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT CAST(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text || random()::text) AS uuid)
$mergeguard$;

-- Merge one resource into another, in the transaction of the caller; answers what was done, as JSON.
CREATE OR REPLACE FUNCTION mergeguard.merge(old uuid, new uuid, request_id text DEFAULT NULL, merge_key text DEFAULT NULL)
RETURNS json LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET lock_timeout = '10s' SET timezone = 'UTC' SET datestyle = 'ISO'
SET intervalstyle = 'postgres' SET extra_float_digits = 3 SET bytea_output = 'hex' SET xmloption = 'content' AS $mergeguard$
DECLARE
    tries CONSTANT integer := 20;
BEGIN
    PERFORM mergeguard.require_read_committed();
    IF length(request_id) NOT BETWEEN 1 AND 64 THEN
        PERFORM mergeguard.refuse('usage', 'a request id has 1 to 64 characters, and this has ' || length(request_id));
    END IF;
    PERFORM pg_advisory_xact_lock_shared(mergeguard.merge_lock_key());
    FOR try IN 1..tries LOOP
        -- What fails here gives back its row locks.
        BEGIN
            RETURN mergeguard.merge_once(old, new, request_id, merge_key, try > 1);
        EXCEPTION
            WHEN SQLSTATE 'MGMVD' OR deadlock_detected THEN
                IF try = tries THEN
                    RAISE;
                END IF;
        END;
    END LOOP;
END
$mergeguard$;

-- What a merge would do, from what is committed now; nothing is written or locked. "refused" says why it would be refused.
CREATE OR REPLACE FUNCTION mergeguard.preview(old uuid, new uuid) RETURNS json LANGUAGE plpgsql STABLE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO' SET intervalstyle = 'postgres'
SET extra_float_digits = 3 SET bytea_output = 'hex' SET xmloption = 'content' AS $mergeguard$
DECLARE
    p record;
    roots record;
    old_root uuid;
    new_root uuid;
    fates jsonb := '{}';
    counts jsonb := '{}';
    live_count bigint := 0;
    lookup_count bigint := 0;
    said text;
    hinted text;
    refused jsonb;
BEGIN
    BEGIN
        SELECT * INTO p FROM mergeguard.places;
        PERFORM mergeguard.require_guard();
        SELECT * INTO roots FROM mergeguard.roots_of(old, new);
        old_root := roots.old_root;
        new_root := roots.new_root;
        PERFORM mergeguard.require_roots(old, new, old_root, new_root, roots.guids, roots.statuses);
        IF old_root <> new_root THEN
            PERFORM mergeguard.require_allowed(old, new, old_root, new_root,
                roots.guids, roots.currents, roots.depths, roots.statuses);
            fates := mergeguard.survivals(old_root, new_root);
            SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') || mergeguard.count_plain(old_root) INTO counts
            FROM jsonb_each(fates) AS f CROSS JOIN LATERAL jsonb_each(f.value -> 'columns') AS e;
            lookup_count := (SELECT 1 + count(*) FROM mergeguard.lookup_rows AS k WHERE k.current_guid = old_root);
            IF p.live_table IS NOT NULL THEN
                EXECUTE format('SELECT count(*) FROM %s WHERE %I = $1%s', p.live_table, p.live_column,
                    CASE WHEN p.live_where IS NULL THEN '' ELSE ' AND (' || p.live_where || ')' END)
                INTO live_count USING old_root;
            END IF;
        END IF;
    EXCEPTION
        WHEN raise_exception THEN
            GET STACKED DIAGNOSTICS said = MESSAGE_TEXT, hinted = PG_EXCEPTION_HINT;
            refused := jsonb_build_object('reason', split_part(said, ': ', 2), 'hint', hinted,
                'message', substring(said FROM '^[^:]*: [^:]*: (.*)$'));
            fates := '{}';
            counts := '{}';
            live_count := 0;
            lookup_count := 0;
    END;
    RETURN json_build_object('old', old, 'new', new, 'old_root', old_root, 'new_root', new_root,
        'already', coalesce(old_root = new_root, false), 'lookup_rows', lookup_count, 'live_rows', live_count,
        'hashes_cleared', jsonb_array_length(mergeguard.clear_hashes(fates, old_root)), 'columns', counts,
        'preview', true, 'refused', refused);
END
$mergeguard$;

-- The same in a transaction of its own, at the level that it takes; to be called outside a transaction.
CREATE OR REPLACE PROCEDURE mergeguard.merge_guids(old uuid, new uuid, request_id text DEFAULT NULL, merge_key text DEFAULT NULL)
LANGUAGE plpgsql AS $mergeguard$
BEGIN
    COMMIT;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    PERFORM mergeguard.merge(old, new, request_id, merge_key);
    COMMIT;
END
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
