-- MergeGuard SQL scripts, version 1: postgresql/36_references.sql
-- The rows that refer to a resource: what a merge makes of them, table by table, and the making of it.

-- Work out what becomes of the rows that refer to a root, table by table; nothing is changed.
CREATE OR REPLACE FUNCTION mergeguard.survivals(old_root uuid, new_root uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    r record;
    held boolean;
    fates jsonb := '{}';
    made jsonb;
BEGIN
    FOR r IN SELECT * FROM mergeguard.reference_places AS p WHERE p.place IS NOT NULL AND NOT p.plain ORDER BY p.name LOOP
        IF r.rules IS NULL THEN
            EXECUTE format('SELECT EXISTS (SELECT 1 FROM %s WHERE %s)', r.place, r.holds) INTO held USING old_root;
            IF held THEN
                PERFORM mergeguard.refuse('references', format('rows of %s refer to %s, and are stored as nothing here can move '
                    'them', r.name, old_root), '''mergeguard merge'' does');
            END IF;
            CONTINUE;
        END IF;
        made := mergeguard.survive(r.place, r.name, r.rules, old_root, new_root);
        IF made IS NOT NULL THEN
            fates := fates || jsonb_build_object(r.name, made);
        END IF;
    END LOOP;
    RETURN fates;
END
$mergeguard$;

-- The other guids in rows of which no two may be equal.
CREATE OR REPLACE FUNCTION mergeguard.around_of(fates jsonb) RETURNS uuid[]
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT coalesce(array_agg(DISTINCT CAST(g AS uuid) ORDER BY CAST(g AS uuid)), '{}')
    FROM jsonb_each(fates) AS f CROSS JOIN LATERAL jsonb_array_elements_text(f.value -> 'around') AS g
$mergeguard$;

-- Keep others from merging some guids until this transaction ends; several may keep them so at a time.
CREATE OR REPLACE FUNCTION mergeguard.share_roots(guids uuid[]) RETURNS void
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
BEGIN
    INSERT INTO mergeguard.roots (guid, turn) SELECT g, 1 FROM unnest(guids) AS g ORDER BY g ON CONFLICT DO NOTHING;
    PERFORM 1 FROM mergeguard.roots AS r WHERE r.guid = ANY (guids) ORDER BY r.guid FOR SHARE;
END
$mergeguard$;

-- Move the rows that refer to a root; "held" is what is shared already.
CREATE OR REPLACE FUNCTION mergeguard.move_references(old_root uuid, new_root uuid, held uuid[], OUT actions text[], OUT tables text[],
    OUT befores text[], OUT afters text[], OUT counts json, OUT hashes_cleared integer)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    fates jsonb := mergeguard.survivals(old_root, new_root);
    around uuid[];
    cleared jsonb;
    c record;
    every jsonb := '{}';
BEGIN
    -- Were another guid in rows of which no two may be equal merged at the same time, neither merge would see two that become so.
    LOOP
        around := mergeguard.around_of(fates);
        EXIT WHEN around <@ held;
        held := ARRAY(SELECT DISTINCT g FROM unnest(held || around) AS g ORDER BY g);
        PERFORM mergeguard.share_roots(held);
        fates := mergeguard.survivals(old_root, new_root);
    END LOOP;
    cleared := mergeguard.clear_hashes(fates, old_root);
    hashes_cleared := jsonb_array_length(cleared);
    SELECT coalesce(array_agg(m.change ->> 'action' ORDER BY m.phase, m.name, m.n), '{}'),
        coalesce(array_agg(m.change ->> 'table' ORDER BY m.phase, m.name, m.n), '{}'),
        coalesce(array_agg(m.change ->> 'before' ORDER BY m.phase, m.name, m.n), '{}'),
        coalesce(array_agg(m.change ->> 'after' ORDER BY m.phase, m.name, m.n), '{}')
    INTO actions, tables, befores, afters
    FROM (
        SELECT 1 AS phase, f.key AS name, e.n, e.change
        FROM jsonb_each(fates) AS f CROSS JOIN LATERAL jsonb_array_elements(f.value -> 'changes') WITH ORDINALITY AS e (change, n)
        UNION ALL SELECT 2, '', e.n, e.change FROM jsonb_array_elements(cleared) WITH ORDINALITY AS e (change, n)
    ) AS m;
    FOR c IN SELECT * FROM unnest(tables, befores, afters) AS u (name, before, after) LOOP
        IF NOT mergeguard.change_row(mergeguard.place_of(c.name), c.before, c.after) THEN
            RAISE EXCEPTION 'mergeguard: moved: a row of % changed while it was merged', c.name USING ERRCODE = 'MGMVD';
        END IF;
    END LOOP;
    SELECT coalesce(jsonb_object_agg(e.key, e.value), '{}') INTO every
    FROM jsonb_each(fates) AS f CROSS JOIN LATERAL jsonb_each(f.value -> 'columns') AS e;
    SELECT * INTO c FROM mergeguard.move_plain(old_root, new_root);
    actions := actions || c.actions;
    tables := tables || c.tables;
    befores := befores || c.befores;
    afters := afters || c.afters;
    counts := CAST(every || c.counts AS json);
END
$mergeguard$;

-- How many rows of plain references hold a root, as the account of a merge has it.
CREATE OR REPLACE FUNCTION mergeguard.count_plain(old_root uuid) RETURNS jsonb
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    r record;
    counts jsonb := '{}';
    held bigint;
BEGIN
    FOR r IN SELECT p.place, p.name, c FROM mergeguard.reference_places AS p CROSS JOIN unnest(p.columns) AS c WHERE p.plain LOOP
        EXECUTE format('SELECT count(*) FROM %s WHERE %I = $1', r.place, r.c) INTO held USING old_root;
        IF held > 0 THEN
            counts := counts || jsonb_build_object(r.name || '.' || r.c, jsonb_build_object('rows', held, 'changed', held,
                'dropped', 0, 'collapsed', 0, 'outnumbered', 0, 'replaced', 0));
        END IF;
    END LOOP;
    RETURN counts;
END
$mergeguard$;

-- Re-point the plain references of a root: each row just holds the new one.
CREATE OR REPLACE FUNCTION mergeguard.move_plain(old_root uuid, new_root uuid,
    OUT actions text[], OUT tables text[], OUT befores text[], OUT afters text[], OUT counts jsonb)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    r record;
    condition text;
    sets text;
    own_befores text[];
    own_afters text[];
BEGIN
    tables := '{}';
    befores := '{}';
    afters := '{}';
    counts := '{}';
    FOR r IN SELECT * FROM mergeguard.reference_places AS p WHERE p.plain ORDER BY p.name LOOP
        SELECT string_agg(format('%I = $1', c), ' OR '), string_agg(format('%1$I = CASE WHEN %1$I = $1 THEN $2 ELSE %1$I END', c), ', ')
        INTO condition, sets FROM unnest(r.columns) AS c;
        EXECUTE format(
            'WITH mergeguard_found AS (SELECT ctid AS mergeguard_at, %2$s AS mergeguard_before FROM %1$s WHERE %3$s FOR UPDATE), '
            'mergeguard_changed AS (UPDATE %1$s AS mergeguard_t SET %4$s FROM mergeguard_found '
            'WHERE mergeguard_t.ctid = mergeguard_found.mergeguard_at RETURNING mergeguard_before, %2$s AS mergeguard_after) '
            'SELECT array_agg(mergeguard_before), array_agg(mergeguard_after) FROM mergeguard_changed',
            r.place, mergeguard.image_sql(r.place), condition, sets) INTO own_befores, own_afters USING old_root, new_root;
        CONTINUE WHEN own_befores IS NULL;
        tables := tables || array_fill(r.name, ARRAY[cardinality(own_befores)]);
        befores := befores || own_befores;
        afters := afters || own_afters;
        counts := counts || coalesce((
            SELECT jsonb_object_agg(r.name || '.' || q.c, jsonb_build_object('rows', q.moved, 'changed', q.moved,
                'dropped', 0, 'collapsed', 0, 'outnumbered', 0, 'replaced', 0))
            FROM (
                SELECT c, count(*) AS moved FROM unnest(r.columns) AS c CROSS JOIN unnest(own_befores, own_afters) AS t (before, after)
                WHERE CAST(t.before AS json) ->> CAST(c AS text) IS DISTINCT FROM CAST(t.after AS json) ->> CAST(c AS text) GROUP BY c
            ) AS q
        ), '{}');
    END LOOP;
    actions := array_fill(CAST('re-point' AS text), ARRAY[cardinality(tables)]);
END
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
