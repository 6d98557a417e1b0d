-- MergeGuard SQL scripts, version 1: postgresql/35_survival.sql
-- What becomes of the rows that refer to two resources that become one: the newest datum stays, keys and sets are united, links
-- are made once and not with oneself, and no more of them stay than there may be. As 'mergeguard merge' decides it.

-- One row, and what it would be once the old root is re-pointed. "rules" are those of mergeguard.reference_places.
CREATE OR REPLACE FUNCTION mergeguard.held_row(image text, rules jsonb, old_root uuid, new_root uuid,
    OUT guids jsonb, OUT after jsonb, OUT stale text[], OUT content text, OUT named text, OUT keys text[], OUT itself boolean)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    WITH cell AS MATERIALIZED (SELECT c.key, c.value FROM json_each_text(CAST(image AS json)) AS c),
    guid AS MATERIALIZED (
        SELECT c.key, mergeguard.guid_of(c.value) AS guid, rules -> 'columns' ? c.key AS moves
        FROM cell AS c WHERE rules -> 'guids' ? c.key AND mergeguard.guid_of(c.value) IS NOT NULL
    ),
    made AS MATERIALIZED (
        SELECT coalesce(jsonb_object_agg(g.key, g.guid), '{}') AS guids,
            coalesce(jsonb_object_agg(g.key, CASE WHEN g.moves AND g.guid = old_root THEN new_root ELSE g.guid END), '{}') AS after,
            coalesce(array_agg(g.key ORDER BY g.key COLLATE "C") FILTER (WHERE g.moves AND g.guid = old_root), '{}') AS stale
        FROM guid AS g
    )
    SELECT m.guids, m.after, m.stale,
        (SELECT '[' || coalesce(string_agg('[' || mergeguard.json_of(c.key) || ', ' || mergeguard.json_of(c.value) || ']', ', '
            ORDER BY c.key COLLATE "C"), '') || ']' FROM cell AS c WHERE NOT rules -> 'names' ? c.key),
        (SELECT '[' || coalesce(string_agg('[' || mergeguard.json_of(c.key) || ', ' || mergeguard.json_of(c.value) || ']', ', '
            ORDER BY c.key COLLATE "C"), '') || ']' FROM cell AS c WHERE rules -> 'names' ? c.key),
        ARRAY(
            SELECT u.n || ' ' || k.said FROM jsonb_array_elements(rules -> 'unique') WITH ORDINALITY AS u (rule, n)
            CROSS JOIN LATERAL (
                SELECT CAST(jsonb_agg(coalesce(m.after ->> q.name, c.value) ORDER BY q.at) AS text) AS said,
                    bool_or(coalesce(m.after ->> q.name, c.value) IS NULL) AS missing
                FROM jsonb_array_elements_text(u.rule -> 'columns') WITH ORDINALITY AS q (name, at)
                LEFT JOIN cell AS c ON c.key = q.name
            ) AS k
            WHERE CAST(u.rule ->> 'nulls' AS boolean) OR NOT k.missing
            ORDER BY u.n
        ),
        EXISTS (
            SELECT 1 FROM jsonb_array_elements(rules -> 'ends') AS e
            WHERE m.after ->> (e ->> 0) = m.after ->> (e ->> 1) AND m.guids ->> (e ->> 0) <> m.guids ->> (e ->> 1)
        )
    FROM made AS m
$mergeguard$;

-- A class of data as it is compared: guids in one spelling.
CREATE OR REPLACE FUNCTION mergeguard.class_of(said text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT coalesce(CAST(mergeguard.guid_of(said) AS text), nullif(btrim(said, E' \t\r\n\f\x0b'), ''))
$mergeguard$;

-- The class of the data in a table: as declared, or by the catalogue.
CREATE OR REPLACE FUNCTION mergeguard.class_of_table(name text, rules jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT coalesce(mergeguard.class_of(rules ->> 'data_class'), (
        SELECT mergeguard.class_of(k.class) FROM mergeguard.hash_classes AS k
        WHERE k.name IN (class_of_table.name, substring(class_of_table.name FROM '[^.]*$')) AND mergeguard.class_of(k.class) IS NOT NULL
        LIMIT 1
    ))
$mergeguard$;

-- What was loaded last into a table for two roots: the number of its event, and when; no row where nothing tells.
CREATE OR REPLACE FUNCTION mergeguard.loads_of(name text, rules jsonb, old_root uuid, new_root uuid)
RETURNS TABLE (guid uuid, number numeric, at timestamp with time zone)
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    h record;
    class text := mergeguard.class_of_table(name, rules);
BEGIN
    SELECT * INTO h FROM mergeguard.hash_places AS p
    WHERE p.place IS NOT NULL AND (p.time_column IS NOT NULL OR p.order_column IS NOT NULL);
    IF NOT FOUND OR class IS NULL THEN
        RETURN;
    END IF;
    RETURN QUERY EXECUTE format('SELECT DISTINCT ON (f.g) f.g, f.n, f.t FROM (SELECT %1$I AS g, CAST(%2$s AS numeric) AS n, '
        'CAST(%3$s AS timestamp with time zone) AS t FROM %4$s WHERE %1$I IN ($1, $2) AND mergeguard.class_of(CAST(%5$I AS text)) = $3) AS f '
        'ORDER BY f.g, f.n DESC NULLS LAST, f.t DESC NULLS LAST', h.guid_column, coalesce(quote_ident(h.order_column), 'NULL'),
        coalesce(quote_ident(h.time_column), 'NULL'), h.place, h.class_column) USING old_root, new_root, class;
END
$mergeguard$;

-- How new rows are, by number and by time: by their own columns, else by the summary of what was loaded last.
CREATE OR REPLACE FUNCTION mergeguard.ages_of(images text[], name text, rules jsonb, old_root uuid, new_root uuid,
    OUT numbers numeric[], OUT times timestamp with time zone[])
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    single text;
BEGIN
    IF rules ->> 'time' IS NOT NULL OR rules ->> 'order' IS NOT NULL THEN
        SELECT array_agg(CAST(CAST(i.image AS json) ->> (rules ->> 'order') AS numeric) ORDER BY i.n),
            array_agg(CAST(CAST(i.image AS json) ->> (rules ->> 'time') AS timestamp with time zone) ORDER BY i.n)
        INTO numbers, times FROM unnest(images) WITH ORDINALITY AS i (image, n);
        RETURN;
    END IF;
    SELECT u.rule -> 'columns' ->> 0 INTO single FROM jsonb_array_elements(rules -> 'unique') WITH ORDINALITY AS u (rule, n)
    WHERE jsonb_array_length(u.rule -> 'columns') = 1 ORDER BY u.n LIMIT 1;
    SELECT array_agg(l.number ORDER BY i.n), array_agg(l.at ORDER BY i.n) INTO numbers, times
    FROM unnest(images) WITH ORDINALITY AS i (image, n)
    LEFT JOIN mergeguard.loads_of(name, rules, old_root, new_root) AS l
        ON l.guid = mergeguard.guid_of(CAST(i.image AS json) ->> single);
END
$mergeguard$;

-- Whose rows go where all rows of a resource are loaded together: those of the root whose data were loaded earlier; NULL where
-- nobody knows. What nobody wrote a summary of is older than all of which there is one.
CREATE OR REPLACE FUNCTION mergeguard.outdated_root(name text, rules jsonb, old_root uuid, new_root uuid) RETURNS uuid
LANGUAGE sql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    WITH load AS MATERIALIZED (
        SELECT l.guid, coalesce(l.number, -9223372036854775809) AS number, coalesce(l.at, '-infinity') AS at
        FROM mergeguard.loads_of(name, rules, old_root, new_root) AS l WHERE rules ->> 'sets' IS NOT NULL
    )
    SELECT CASE WHEN n.guid IS NULL OR (o.number, o.at) > (n.number, n.at) THEN new_root ELSE old_root END
    FROM (SELECT 1) AS one
    LEFT JOIN load AS o ON o.guid = old_root
    LEFT JOIN load AS n ON n.guid = new_root
    WHERE o.guid IS NOT NULL OR n.guid IS NOT NULL
$mergeguard$;

-- What becomes of the rows of one table: "changes" in an order that no unique key minds, "every" for the hashes, "columns" as the
-- account, "around" the other guids in rows of which no two may be equal. NULL where no row holds the old root.
CREATE OR REPLACE FUNCTION mergeguard.survive(place regclass, name text, rules jsonb, old_root uuid, new_root uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    never CONSTANT timestamp with time zone := '-infinity';
    unnumbered CONSTANT numeric := -9223372036854775809;
    outdated CONSTANT uuid := mergeguard.outdated_root(name, rules, old_root, new_root);
    condition text;
    images text[];
    facts record;
    many integer;
    fates text[];
    into_row integer[];
    taken jsonb := '{}';
    own jsonb;
    beaten boolean[];
    against integer[];
    holder integer;
    k text;
    grouped record;
    ranked record;
    most integer;
    made jsonb;
BEGIN
    SELECT string_agg(format(CASE WHEN EXISTS (
            SELECT 1 FROM jsonb_array_elements(rules -> 'unique') AS u WHERE u -> 'columns' ? c
        ) OR c = rules ->> 'sets' THEN '%I IN ($1, $2)' ELSE '%I = $1' END, c), ' OR ')
    INTO condition FROM jsonb_array_elements_text(rules -> 'columns') AS c;
    EXECUTE format('SELECT array_agg(f.i) FROM (SELECT %s AS i FROM %s WHERE %s) AS f', mergeguard.image_sql(place), place, condition)
    INTO images USING old_root, new_root;
    IF images IS NULL THEN
        RETURN NULL;
    END IF;
    -- The rows by their rank, the newest first, of equally new ones the last in the text of its cells.
    SELECT array_agg(i.image ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS images,
        array_agg(i.number ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS numbers,
        array_agg(i.at ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS times,
        array_agg(r.guids ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS guids,
        array_agg(r.after ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS afters,
        array_agg(to_jsonb(r.stale) ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS stale,
        array_agg(to_jsonb(r.keys) ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS keys,
        array_agg(r.itself ORDER BY i.number DESC, i.at DESC, r.content COLLATE "C" DESC, r.named COLLATE "C" DESC) AS itself
    INTO facts
    FROM (
        SELECT u.image, coalesce(u.number, unnumbered) AS number, coalesce(u.at, never) AS at
        FROM mergeguard.ages_of(images, name, rules, old_root, new_root) AS a
        CROSS JOIN LATERAL unnest(images, a.numbers, a.times) AS u (image, number, at)
    ) AS i
    CROSS JOIN LATERAL mergeguard.held_row(i.image, rules, old_root, new_root) AS r;
    many := coalesce(cardinality(facts.images), 0);
    IF many = 0 OR NOT EXISTS (
        SELECT 1 FROM unnest(facts.guids) AS g CROSS JOIN LATERAL jsonb_each_text(g) AS e
        WHERE e.value = CAST(old_root AS text) OR (e.key = rules ->> 'sets' AND e.value = CAST(outdated AS text))
    ) THEN
        RETURN NULL;
    END IF;
    fates := array_fill(CAST('' AS text), ARRAY[many]);
    into_row := array_fill(0, ARRAY[many]);
    beaten := array_fill(false, ARRAY[many]);
    -- Data that are loaded as a whole: those of the root that was loaded earlier go.
    FOR n IN 1..many LOOP
        CONTINUE WHEN facts.guids[n] ->> (rules ->> 'sets') IS DISTINCT FROM CAST(outdated AS text) OR outdated IS NULL;
        beaten[n] := true;
        fates[n] := CASE outdated WHEN new_root THEN 'replaced' ELSE 'collapsed' END;
    END LOOP;
    own := (
        SELECT jsonb_object_agg(g.k, g.members) FROM (
            SELECT q AS k, jsonb_agg(n) AS members FROM generate_series(1, many) AS n
            CROSS JOIN LATERAL jsonb_array_elements_text(facts.keys[n]) AS q WHERE facts.stale[n] = '[]' AND NOT beaten[n] GROUP BY q
        ) AS g
    );
    -- Rows of the new root give way to newer ones of the old root.
    FOR n IN 1..many LOOP
        CONTINUE WHEN beaten[n] OR facts.stale[n] = '[]' OR facts.itself[n] OR taken ?| ARRAY(SELECT jsonb_array_elements_text(facts.keys[n]));
        against := ARRAY(
            SELECT DISTINCT CAST(o AS integer) FROM jsonb_array_elements_text(facts.keys[n]) AS q
            CROSS JOIN LATERAL jsonb_array_elements_text(own -> q) AS o WHERE NOT beaten[CAST(o AS integer)]
        );
        IF NOT EXISTS (
            SELECT 1 FROM unnest(against) AS o WHERE (facts.numbers[o], facts.times[o]) >= (facts.numbers[n], facts.times[n])
        ) THEN
            FOREACH holder IN ARRAY against LOOP
                beaten[holder] := true;
                fates[holder] := 'replaced';
            END LOOP;
            FOR k IN SELECT jsonb_array_elements_text(facts.keys[n]) LOOP
                taken := jsonb_build_object(k, n) || taken;
            END LOOP;
        END IF;
    END LOOP;
    -- The others are re-pointed, unless another row says the same or they would link the new root with itself.
    taken := '{}';
    FOR n IN 1..many LOOP
        CONTINUE WHEN facts.stale[n] <> '[]' OR beaten[n];
        FOR k IN SELECT jsonb_array_elements_text(facts.keys[n]) LOOP
            taken := jsonb_build_object(k, n) || taken;
        END LOOP;
    END LOOP;
    FOR n IN 1..many LOOP
        CONTINUE WHEN beaten[n] OR facts.stale[n] = '[]';
        IF facts.itself[n] THEN
            fates[n] := 'dropped';
            CONTINUE;
        END IF;
        SELECT CAST(taken ->> q.k AS integer) INTO holder FROM jsonb_array_elements_text(facts.keys[n]) WITH ORDINALITY AS q (k, at)
        WHERE taken ? q.k ORDER BY q.at LIMIT 1;
        IF FOUND THEN
            fates[n] := 'collapsed';
            into_row[n] := holder;
            CONTINUE;
        END IF;
        fates[n] := 'changed';
        FOR k IN SELECT jsonb_array_elements_text(facts.keys[n]) LOOP
            taken := jsonb_build_object(k, n) || taken;
        END LOOP;
    END LOOP;
    -- Of the links that the new root is the parent of, only as many stay as there may be of each type, the newest.
    IF rules ->> 'links' IS NOT NULL THEN
        FOR grouped IN
            SELECT coalesce(facts.guids[n] ->> (rules -> 'links' ->> 'type'), CAST(facts.images[n] AS json) ->> (rules -> 'links' ->> 'type')) AS kind,
                array_agg(n) AS members
            FROM generate_series(1, many) AS n
            WHERE (fates[n] = '' AND facts.guids[n] ->> (rules -> 'links' ->> 'parent') = CAST(new_root AS text))
                OR (fates[n] = 'changed' AND facts.stale[n] ? (rules -> 'links' ->> 'parent'))
            GROUP BY 1 HAVING bool_or(fates[n] = 'changed')
        LOOP
            SELECT nullif(m.maximum, 0) INTO most FROM mergeguard.link_maxima AS m
            WHERE m.type = mergeguard.guid_of(grouped.kind) AND m.maximum IS NOT NULL LIMIT 1;
            CONTINUE WHEN NOT FOUND OR most IS NULL;
            FOR ranked IN
                SELECT r.n FROM (
                    SELECT g.n, row_number() OVER (ORDER BY facts.numbers[g.n] DESC, facts.times[g.n] DESC, fates[g.n] = '' DESC, (
                        SELECT '[' || string_agg('[' || mergeguard.json_of(c.key) || ', ' || mergeguard.json_of(c.value) || ']', ', '
                            ORDER BY c.key COLLATE "C") || ']' FROM json_each_text(CAST(facts.images[g.n] AS json)) AS c
                    ) COLLATE "C") AS place
                    FROM unnest(grouped.members) AS g (n)
                ) AS r WHERE r.place > most
            LOOP
                fates[ranked.n] := CASE fates[ranked.n] WHEN '' THEN 'replaced' ELSE 'outnumbered' END;
            END LOOP;
        END LOOP;
    END IF;
    SELECT jsonb_agg(c.change ORDER BY c.phase, c.n) INTO made FROM (
        SELECT 1 AS phase, min(n) AS n, jsonb_build_object('action', 'keep', 'table', name, 'before', facts.images[into_row[n]],
            'after', facts.images[into_row[n]]) AS change
        FROM generate_series(1, many) AS n
        WHERE fates[n] = 'collapsed' AND fates[into_row[n]] = '' AND NOT EXISTS (
            SELECT 1 FROM generate_series(1, many) AS o
            WHERE fates[o] IN ('dropped', 'collapsed', 'outnumbered', 'replaced') AND facts.images[o] = facts.images[into_row[n]]
        )
        GROUP BY 3
        UNION ALL
        SELECT 2, n, jsonb_build_object('action', CASE fates[n] WHEN 'dropped' THEN 'drop self-reference' ELSE 'collapse duplicate' END,
            'table', name, 'before', facts.images[n], 'after', NULL)
        FROM generate_series(1, many) AS n WHERE fates[n] IN ('dropped', 'collapsed', 'outnumbered', 'replaced')
        UNION ALL
        SELECT 3, n, jsonb_build_object('action', 're-point', 'table', name, 'before', facts.images[n], 'after', (
            SELECT mergeguard.ascii_of(CAST(json_object_agg(c.key, CASE
                WHEN facts.stale[n] ? c.key THEN CAST(new_root AS text)
                WHEN rules -> 'cleared' ? c.key THEN NULL
                ELSE c.value END ORDER BY c.at) AS text))
            FROM json_each_text(CAST(facts.images[n] AS json)) WITH ORDINALITY AS c (key, value, at)
        ))
        FROM generate_series(1, many) AS n WHERE fates[n] = 'changed'
    ) AS c;
    RETURN jsonb_build_object(
        'changes', coalesce(made, '[]'),
        'every', (
            SELECT coalesce(jsonb_agg(jsonb_build_object('before', facts.images[n], 'guids', (
                SELECT jsonb_agg(DISTINCT e.value) FROM (
                    SELECT value FROM jsonb_each_text(facts.guids[n])
                    UNION SELECT value FROM jsonb_each_text(facts.afters[n]) WHERE fates[n] <> 'replaced'
                ) AS e
            ))), '[]') FROM generate_series(1, many) AS n WHERE fates[n] <> ''
        ),
        'columns', (
            SELECT coalesce(jsonb_object_agg(name || '.' || c, jsonb_build_object('rows', t.changed + t.dropped + t.collapsed + t.outnumbered,
                'changed', t.changed, 'dropped', t.dropped, 'collapsed', t.collapsed, 'outnumbered', t.outnumbered, 'replaced', t.replaced)),
                '{}')
            FROM jsonb_array_elements_text(rules -> 'columns') AS c
            CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE fates[n] = 'changed' AND facts.stale[n] ? c) AS changed,
                    count(*) FILTER (WHERE fates[n] = 'dropped' AND facts.stale[n] ? c) AS dropped,
                    count(*) FILTER (WHERE fates[n] = 'collapsed' AND facts.stale[n] ? c) AS collapsed,
                    count(*) FILTER (WHERE fates[n] = 'outnumbered' AND facts.stale[n] ? c) AS outnumbered,
                    count(*) FILTER (WHERE fates[n] = 'replaced' AND EXISTS (
                        SELECT 1 FROM jsonb_each_text(facts.guids[n]) AS e WHERE e.value = CAST(new_root AS text)
                    ) AND c = coalesce((
                        SELECT s FROM generate_series(1, many) AS o CROSS JOIN LATERAL jsonb_array_elements_text(facts.stale[o]) AS s
                        WHERE fates[o] IN ('changed', 'dropped', 'collapsed') ORDER BY s COLLATE "C" LIMIT 1
                    ), rules ->> 'sets')) AS replaced
                FROM generate_series(1, many) AS n
            ) AS t
            WHERE t.changed + t.dropped + t.collapsed + t.outnumbered + t.replaced > 0
        ),
        'around', (
            SELECT coalesce(jsonb_agg(DISTINCT e.value), '[]') FROM generate_series(1, many) AS n
            CROSS JOIN LATERAL jsonb_each_text(facts.guids[n]) AS e
            WHERE fates[n] IN ('changed', 'dropped', 'collapsed') AND e.value NOT IN (CAST(old_root AS text), CAST(new_root AS text))
                AND EXISTS (
                    SELECT 1 FROM jsonb_array_elements(rules -> 'unique') AS u WHERE (
                        SELECT count(DISTINCT q) FROM jsonb_array_elements_text(u -> 'columns') AS q WHERE rules -> 'columns' ? q
                    ) > 1
                )
        )
    );
END
$mergeguard$;

-- The clearing of each hash of data that move: data with an unchanged hash would never be loaded again.
CREATE OR REPLACE FUNCTION mergeguard.clear_hashes(fates jsonb, old_root uuid) RETURNS jsonb
LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    h record;
    touched jsonb;
    made jsonb;
BEGIN
    SELECT * INTO h FROM mergeguard.hash_places AS p WHERE p.place IS NOT NULL;
    IF NOT FOUND THEN
        RETURN '[]';
    END IF;
    SELECT jsonb_object_agg(t.g, t.classes) INTO touched FROM (
        SELECT g.g, jsonb_agg(DISTINCT c.class) AS classes
        FROM jsonb_each(fates) AS f
        JOIN mergeguard.reference_places AS r ON r.name = f.key
        CROSS JOIN LATERAL jsonb_array_elements(f.value -> 'every') AS e
        CROSS JOIN LATERAL (
            SELECT CASE WHEN r.place = h.place THEN mergeguard.class_of(CAST(e ->> 'before' AS json) ->> CAST(h.class_column AS text))
                ELSE mergeguard.class_of_table(r.name, r.rules) END AS class
        ) AS c
        CROSS JOIN LATERAL jsonb_array_elements_text(e -> 'guids') AS g (g)
        WHERE c.class IS NOT NULL GROUP BY g.g
    ) AS t;
    IF touched IS NULL THEN
        RETURN '[]';
    END IF;
    EXECUTE format('SELECT jsonb_agg(jsonb_build_object(''action'', ''clear hash'', ''table'', $3, ''before'', f.image, ''after'', '
        'mergeguard.ascii_of((SELECT json_object_agg(c.key, CASE WHEN c.key = $4 THEN NULL ELSE c.value END ORDER BY c.at)::text '
        'FROM json_each_text(f.image::json) WITH ORDINALITY AS c (key, value, at)))) ORDER BY f.image COLLATE "C") FROM (SELECT %1$s AS image, '
        '%2$I AS mergeguard_guid, %3$I AS mergeguard_hash, CAST(%4$I AS text) AS mergeguard_class FROM %5$s WHERE %2$I = ANY ($1)) AS f '
        'WHERE f.mergeguard_hash IS NOT NULL AND $2 -> CAST(f.mergeguard_guid AS text) ? mergeguard.class_of(f.mergeguard_class)',
        mergeguard.image_sql(h.place), h.guid_column, h.hash_column, h.class_column, h.place)
    INTO made USING ARRAY(SELECT CAST(k AS uuid) FROM jsonb_object_keys(touched) AS k), touched, h.name, CAST(h.hash_column AS text);
    RETURN (
        SELECT coalesce(jsonb_agg(m), '[]') FROM jsonb_array_elements(coalesce(made, '[]')) AS m
        WHERE NOT EXISTS (
            SELECT 1 FROM jsonb_each(fates) AS f CROSS JOIN LATERAL jsonb_array_elements(f.value -> 'changes') AS c
            WHERE c ->> 'action' <> 'keep' AND c ->> 'before' = m ->> 'before'
        ) AND NOT (
            CAST(CAST(m ->> 'before' AS json) ->> CAST(h.guid_column AS text) AS uuid) = old_root
            AND EXISTS (SELECT 1 FROM mergeguard.reference_places AS r WHERE r.place = h.place AND h.guid_column = ANY (r.columns))
        )
    );
END
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
