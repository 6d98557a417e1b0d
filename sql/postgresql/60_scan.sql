-- MergeGuard SQL scripts, version 1: postgresql/60_scan.sql
-- scan(): the findings of 'mergeguard scan', one row each; rules_checked() says which rules could be checked. Nothing is written.

-- All strongly connected components of two guids or more, with how many olds lead into each, its members included.
CREATE OR REPLACE FUNCTION mergeguard.rings() RETURNS TABLE (members uuid[], down integer)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    graph record;
    walked record;
    many integer;
    edges integer;
    starts integer[];
    olds integer[];
    ring record;
    met integer[];
    todo integer[];
    done integer;
    high integer;
    number integer := 0;
    v integer;
BEGIN
    SELECT * INTO graph FROM mergeguard.graph(true);
    SELECT * INTO walked FROM mergeguard.walked(graph.starts, graph.news);
    many := cardinality(graph.nodes);
    FOR ring IN
        SELECT array_agg(c.n::integer ORDER BY c.n) AS nodes FROM unnest(walked.components) WITH ORDINALITY AS c (component, n)
        GROUP BY c.component HAVING count(*) > 1
    LOOP
        IF number = 0 THEN
            -- The edges the other way round: those that lead to node n are olds[starts[n]] to olds[starts[n + 1] - 1].
            WITH edge AS MATERIALIZED (
                SELECT o.n::integer AS o, graph.news[place] AS t
                FROM unnest(graph.nodes) WITH ORDINALITY AS o (g, n)
                CROSS JOIN LATERAL generate_series(graph.starts[o.n], graph.starts[o.n + 1] - 1) AS place
            ),
            degree AS (
                SELECT n, count(edge.o) AS ways FROM generate_series(1, many) AS n LEFT JOIN edge ON edge.t = n GROUP BY n
            )
            SELECT (SELECT array_agg(e.o ORDER BY e.t, e.o) FROM edge AS e),
                (SELECT array_agg(d.first ORDER BY d.n) FROM (
                    SELECT n, (1 + sum(ways) OVER (ORDER BY n) - ways)::integer AS first FROM degree
                ) AS d) || (1 + (SELECT count(*) FROM edge))::integer
            INTO olds, starts;
            met := array_fill(0, ARRAY[many]);
        END IF;
        number := number + 1;
        todo := ring.nodes;
        high := cardinality(todo);
        done := 0;
        FOREACH v IN ARRAY ring.nodes LOOP
            met[v] := number;
        END LOOP;
        WHILE done < high LOOP
            done := done + 1;
            FOR place IN starts[todo[done]]..starts[todo[done] + 1] - 1 LOOP
                v := olds[place];
                IF met[v] <> number THEN
                    met[v] := number;
                    high := high + 1;
                    todo[high] := v;
                END IF;
            END LOOP;
        END LOOP;
        members := (SELECT array_agg(graph.nodes[n] ORDER BY n) FROM unnest(ring.nodes) AS n);
        down := high;
        RETURN NEXT;
    END LOOP;
END
$mergeguard$;

CREATE OR REPLACE FUNCTION mergeguard.rules_checked() RETURNS TABLE (rule text, name text, severity text, checked boolean)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT r.rule, r.name, r.severity, CASE r.needs WHEN 'live' THEN d.live WHEN 'types' THEN d.types
        WHEN 'times' THEN d.times WHEN 'refs' THEN d.refs ELSE true END
    FROM mergeguard.declared AS d CROSS JOIN (VALUES
        ('MG001', 'cycle', 'error', ''),
        ('MG002', 'self-merge', 'error', ''),
        ('MG003', 'split', 'error', ''),
        ('MG004', 'dangling', 'warning', 'live'),
        ('MG005', 'shadowed-live', 'error', 'live'),
        ('MG006', 'type-mismatch', 'error', 'types'),
        ('MG007', 'malformed-guid', 'error', ''),
        ('MG008', 'empty-guid', 'error', ''),
        ('MG009', 'lookup-drift', 'error', ''),
        ('MG010', 'stale-reference', 'warning', 'refs'),
        ('MG011', 'flip-flop', 'warning', 'times'),
        ('MG012', 'cycle-tree', 'warning', ''),
        ('MG013', 'chain', 'info', ''),
        ('MG014', 'redundant', 'info', '')
    ) AS r (rule, name, severity, needs)
$mergeguard$;

-- At most 50 guids as a text, in the order of their texts.
CREATE OR REPLACE FUNCTION mergeguard.listed(guids uuid[]) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT string_agg(CAST(g.g AS text), ' ' ORDER BY g.g)
    FROM (SELECT DISTINCT u AS g FROM unnest(guids) AS u WHERE u IS NOT NULL ORDER BY u LIMIT 50) AS g
$mergeguard$;

-- One row a finding. "guid" is what it is about, "guids" all that belongs to it, "rows" how many rows or guids say so.
CREATE OR REPLACE FUNCTION mergeguard.scan()
RETURNS TABLE (rule text, name text, severity text, guid uuid, guids text, rows bigint, detail text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $mergeguard$
    WITH every AS MATERIALIZED (SELECT * FROM mergeguard.merge_rows),
    pairs AS MATERIALIZED (
        SELECT m.old_guid, m.new_guid, count(*) AS times FROM every AS m
        WHERE m.old_guid IS NOT NULL AND m.new_guid IS NOT NULL GROUP BY m.old_guid, m.new_guid
    ),
    olds AS MATERIALIZED (SELECT p.old_guid, count(*) AS ways, sum(p.times) AS times FROM pairs AS p GROUP BY p.old_guid),
    raw AS MATERIALIZED (SELECT * FROM mergeguard.closure(true)),
    now AS MATERIALIZED (SELECT * FROM mergeguard.closure(false)),
    live AS MATERIALIZED (SELECT DISTINCT l.guid FROM mergeguard.live_guids AS l),
    types AS MATERIALIZED (
        SELECT t.guid, min(t.type) AS type FROM mergeguard.guid_types AS t GROUP BY t.guid HAVING min(t.type) = max(t.type)
    ),
    rings AS MATERIALIZED (SELECT r.members, r.down FROM mergeguard.rings() AS r),
    inner_edges AS MATERIALIZED (
        SELECT r.members, p.old_guid, p.new_guid, p.times
        FROM (SELECT r.members, u AS g FROM rings AS r CROSS JOIN LATERAL unnest(r.members) AS u) AS r
        JOIN pairs AS p ON p.old_guid = r.g
        WHERE p.new_guid <> p.old_guid AND p.new_guid = ANY (r.members)
    ),
    bad AS MATERIALIZED (
        SELECT m.row_id, CASE WHEN m.old_guid IS NULL THEN 'old' ELSE 'new' END AS place,
            CASE WHEN m.old_guid IS NULL THEN m.old_text ELSE m.new_text END AS said
        FROM every AS m WHERE m.old_guid IS NULL OR m.new_guid IS NULL
    ),
    stored AS MATERIALIZED (
        SELECT k.*, n.old_guid AS known,
            (n.current_guid, n.depth, n.status) IS NOT DISTINCT FROM (k.current_guid, k.depth, k.status) AS fits,
            row_number() OVER (PARTITION BY k.old_guid ORDER BY (n.current_guid, n.depth, n.status)
                IS NOT DISTINCT FROM (k.current_guid, k.depth, k.status) DESC) AS place
        FROM mergeguard.lookup_rows AS k LEFT JOIN now AS n ON n.old_guid = k.old_guid
    ),
    merged_away AS MATERIALIZED (
        SELECT DISTINCT p.old_guid FROM pairs AS p
        WHERE p.new_guid <> p.old_guid AND NOT EXISTS (SELECT 1 FROM live AS l WHERE l.guid = p.old_guid)
    ),
    found (rule, guid, guids, rows, detail) AS (
        SELECT 'MG001', r.members[1], r.members, (SELECT sum(e.times) FROM inner_edges AS e WHERE e.members = r.members),
            format('%s guids lead in a circle, %s into it', cardinality(r.members), r.down)
        FROM rings AS r
        UNION ALL
        SELECT 'MG002', p.old_guid, ARRAY[p.old_guid], p.times, 'the guid is merged into itself'
        FROM pairs AS p WHERE p.old_guid = p.new_guid
        UNION ALL
        SELECT 'MG003', o.old_guid, (SELECT array_agg(p.new_guid) || o.old_guid FROM pairs AS p WHERE p.old_guid = o.old_guid),
            o.times, format('one old, %s news', o.ways)
        FROM olds AS o JOIN raw AS r ON r.old_guid = o.old_guid WHERE o.ways > 1 AND r.status = 'split'
        UNION ALL
        SELECT 'MG004', n.current_guid, array_agg(n.old_guid), count(*), 'olds lead to a guid that is not live'
        FROM now AS n WHERE n.status = 'dangling' GROUP BY n.current_guid
        UNION ALL
        SELECT 'MG005', p.old_guid, array_agg(p.new_guid) || p.old_guid, sum(p.times), 'a live guid is merged away'
        FROM pairs AS p JOIN live AS l ON l.guid = p.old_guid WHERE p.new_guid <> p.old_guid GROUP BY p.old_guid
        UNION ALL
        SELECT 'MG006', p.old_guid, ARRAY[p.old_guid, p.new_guid], p.times, format('a %s is merged into a %s', a.type, b.type)
        FROM pairs AS p JOIN types AS a ON a.guid = p.old_guid JOIN types AS b ON b.guid = p.new_guid WHERE a.type <> b.type
        UNION ALL
        SELECT 'MG007', NULL, NULL, 1, format('row %s: %s holds %L, which is no guid', b.row_id, b.place, left(b.said, 100))
        FROM bad AS b WHERE b.said !~ '^\s*$'
        UNION ALL
        SELECT 'MG008', NULL, NULL, 1, format('row %s: %s is %s', b.row_id, b.place,
            CASE WHEN b.said IS NULL THEN 'NULL' ELSE 'blank' END)
        FROM bad AS b WHERE b.said IS NULL OR b.said ~ '^\s*$'
        UNION ALL
        SELECT 'MG008', p.old_guid, ARRAY[p.old_guid, p.new_guid], p.times, 'the all-zero guid'
        FROM pairs AS p WHERE CAST('00000000-0000-0000-0000-000000000000' AS uuid) IN (p.old_guid, p.new_guid)
        UNION ALL
        SELECT 'MG009', s.old_guid, ARRAY[s.old_guid], 1, CASE
            WHEN s.known IS NULL THEN 'the lookup holds a row for a guid that no row merges away'
            WHEN s.place > 1 THEN 'the lookup holds another row for an old that has one'
            ELSE 'the lookup gives another answer than the rows' END
        FROM stored AS s WHERE s.old_guid IS NOT NULL AND (s.known IS NULL OR s.place > 1 OR NOT s.fits)
        UNION ALL
        SELECT 'MG009', n.old_guid, ARRAY[n.old_guid], 1, 'the lookup has no row for this old'
        FROM now AS n WHERE NOT EXISTS (SELECT 1 FROM stored AS s WHERE s.old_guid = n.old_guid)
        UNION ALL
        SELECT 'MG009', NULL, NULL, count(*), 'rows of the lookup have no guid as old'
        FROM stored AS s WHERE s.old_guid IS NULL HAVING count(*) > 0
        UNION ALL
        SELECT 'MG010', NULL, array_agg(DISTINCT r.guid), count(*), format('%s holds merged-away guids', r.reference)
        FROM mergeguard.reference_guids AS r JOIN merged_away AS m ON m.old_guid = r.guid GROUP BY r.reference
        UNION ALL
        SELECT 'MG011', a.old_guid, ARRAY[a.old_guid, a.new_guid], a.times + b.times, 'merged in both directions'
        FROM inner_edges AS a JOIN inner_edges AS b ON b.old_guid = a.new_guid AND b.new_guid = a.old_guid
        WHERE a.old_guid < a.new_guid
        UNION ALL
        SELECT 'MG012', r.members[1], r.members, r.down - cardinality(r.members), 'guids lead into this cycle'
        FROM rings AS r WHERE r.down > cardinality(r.members)
        UNION ALL
        SELECT 'MG013', NULL, NULL, sum(p.times), 'rows lead to a guid that was itself merged away'
        FROM pairs AS p JOIN olds AS o ON o.old_guid = p.new_guid WHERE p.old_guid <> p.new_guid HAVING count(*) > 0
        UNION ALL
        SELECT 'MG014', NULL, NULL, s.copies + s.agreeing, format('%s exact copies, %s olds with several news and one current',
            s.copies, s.agreeing)
        FROM (
            SELECT (SELECT coalesce(sum(p.times) - count(*), 0) FROM pairs AS p) AS copies,
                (SELECT count(*) FROM olds AS o JOIN raw AS r ON r.old_guid = o.old_guid
                    WHERE o.ways > 1 AND r.status IN ('ok', 'deleted')) AS agreeing
        ) AS s WHERE s.copies + s.agreeing > 0
    )
    SELECT f.rule, c.name, c.severity, f.guid, mergeguard.listed(f.guids), CAST(f.rows AS bigint), f.detail
    FROM found AS f JOIN mergeguard.rules_checked() AS c ON c.rule = f.rule AND c.checked
    ORDER BY f.rule, f.guid NULLS FIRST, f.detail
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
