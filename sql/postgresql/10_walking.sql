-- MergeGuard SQL scripts, version 1: postgresql/10_walking.sql
-- Where guids lead: current_guid(guid) for one, closure() for all. They end on any table, and write nothing.

-- Edges as a graph of numbers from 1, in the order of the guids' texts. The news of node n are
-- news[starts[n]] to news[starts[n + 1] - 1]. Nodes in "also" are there with or without an edge.
CREATE OR REPLACE FUNCTION mergeguard.numbered(olds uuid[], targets uuid[], also uuid[],
    OUT nodes uuid[], OUT starts integer[], OUT news integer[])
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    WITH edge AS MATERIALIZED (SELECT DISTINCT e.o, e.t FROM unnest(olds, targets) AS e (o, t)),
    node AS MATERIALIZED (
        SELECT u.g, row_number() OVER (ORDER BY u.g)::integer AS n
        FROM (SELECT o AS g FROM edge UNION SELECT t FROM edge UNION SELECT a FROM unnest(also) AS a) AS u
    ),
    numbers AS MATERIALIZED (
        SELECT o.n AS o, t.n AS t FROM edge JOIN node AS o ON o.g = edge.o JOIN node AS t ON t.g = edge.t
    ),
    degree AS (
        SELECT node.n, coalesce(counted.ways, 0) AS ways
        FROM node LEFT JOIN (SELECT o, count(*) AS ways FROM numbers GROUP BY o) AS counted ON counted.o = node.n
    ),
    place AS (SELECT n, (1 + sum(ways) OVER (ORDER BY n) - ways)::integer AS first FROM degree)
    SELECT coalesce((SELECT array_agg(g ORDER BY n) FROM node), '{}'),
        coalesce((SELECT array_agg(first ORDER BY n) FROM place), '{}')
            || (1 + (SELECT count(*) FROM numbers))::integer,
        coalesce((SELECT array_agg(t ORDER BY o, t) FROM numbers), '{}')
$mergeguard$;

-- Where every node of a graph leads: statuses 0 ok, 1 cycle, 2 split; ends the terminal, depths the merges on the longest
-- way to it; components the number of the strongly connected component, that of one of its nodes.
-- By Tarjan, without recursion, so that a chain of a million is as good as any.
CREATE OR REPLACE FUNCTION mergeguard.walked(starts integer[], news integer[],
    OUT statuses integer[], OUT ends integer[], OUT depths integer[], OUT components integer[])
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    many integer := cardinality(starts) - 1;
    met integer[];
    low integer[];
    at integer[] := starts;
    way integer[];
    stack integer[];
    top integer;
    high integer := 0;
    count_met integer := 0;
    v integer;
    w integer;
    said integer;
    far integer;
    goal integer;
BEGIN
    met := array_fill(0, ARRAY[many]);
    low := met;
    way := met;
    stack := met;
    statuses := met;
    ends := met;
    depths := met;
    components := met;
    FOR root IN 1..many LOOP
        CONTINUE WHEN met[root] > 0;
        top := 1;
        way[1] := root;
        WHILE top > 0 LOOP
            v := way[top];
            IF met[v] = 0 THEN
                count_met := count_met + 1;
                met[v] := count_met;
                low[v] := count_met;
                high := high + 1;
                stack[high] := v;
            END IF;
            IF at[v] < starts[v + 1] THEN
                w := news[at[v]];
                at[v] := at[v] + 1;
                IF met[w] = 0 THEN
                    top := top + 1;
                    way[top] := w;
                ELSIF components[w] = 0 THEN
                    statuses[v] := 1;
                    IF met[w] < low[v] THEN
                        low[v] := met[w];
                    END IF;
                END IF;
            ELSE
                said := statuses[v];
                goal := 0;
                far := 0;
                FOR place IN starts[v]..starts[v + 1] - 1 LOOP
                    EXIT WHEN said = 1;
                    w := news[place];
                    IF statuses[w] > 0 THEN
                        said := CASE WHEN statuses[w] = 1 THEN 1 ELSE 2 END;
                    ELSIF goal = 0 THEN
                        goal := ends[w];
                        far := depths[w] + 1;
                    ELSIF goal <> ends[w] THEN
                        said := 2;
                    ELSIF depths[w] >= far THEN
                        far := depths[w] + 1;
                    END IF;
                END LOOP;
                statuses[v] := said;
                ends[v] := CASE WHEN goal = 0 THEN v ELSE goal END;
                depths[v] := far;
                IF low[v] = met[v] THEN
                    LOOP
                        w := stack[high];
                        high := high - 1;
                        components[w] := v;
                        EXIT WHEN w = v;
                    END LOOP;
                END IF;
                top := top - 1;
                IF top > 0 AND low[v] < low[way[top]] THEN
                    low[way[top]] := low[v];
                END IF;
            END IF;
        END LOOP;
    END LOOP;
END
$mergeguard$;

-- All merges as a graph; without "raw" a live guid leads nowhere.
CREATE OR REPLACE FUNCTION mergeguard.graph(raw boolean, OUT nodes uuid[], OUT starts integer[], OUT news integer[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT g.nodes, g.starts, g.news FROM (
        SELECT array_agg(m.old_guid) FILTER (WHERE raw OR l.guid IS NULL) AS olds,
            array_agg(m.new_guid) FILTER (WHERE raw OR l.guid IS NULL) AS targets,
            array_agg(DISTINCT m.old_guid) AS also
        FROM mergeguard.merge_rows AS m
        LEFT JOIN (SELECT DISTINCT live.guid FROM mergeguard.live_guids AS live WHERE NOT raw) AS l ON l.guid = m.old_guid
        WHERE m.old_guid IS NOT NULL AND m.new_guid IS NOT NULL
    ) AS found
    CROSS JOIN LATERAL mergeguard.numbered(found.olds, found.targets, found.also) AS g
$mergeguard$;

-- The merges on all ways from some guids as a graph, read hop by hop.
CREATE OR REPLACE FUNCTION mergeguard.reach(asked uuid[], OUT nodes uuid[], OUT starts integer[], OUT news integer[])
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    WITH RECURSIVE walk (o, g) AS (
        SELECT CAST(NULL AS uuid), a FROM unnest(asked) AS a
        UNION
        -- OFFSET 0: an index lookup a step, where a join might read the whole table for each.
        SELECT walk.g, s.new_guid FROM walk CROSS JOIN LATERAL (
            SELECT m.new_guid FROM mergeguard.merge_rows AS m
            WHERE m.old_guid = walk.g AND m.new_guid IS NOT NULL
                AND NOT EXISTS (SELECT 1 FROM mergeguard.live_guids AS l WHERE l.guid = walk.g)
            OFFSET 0
        ) AS s
    )
    SELECT g.nodes, g.starts, g.news
    FROM (SELECT array_agg(o) FILTER (WHERE o IS NOT NULL) AS olds, array_agg(g) FILTER (WHERE o IS NOT NULL) AS targets
        FROM walk) AS found
    CROSS JOIN LATERAL mergeguard.numbered(found.olds, found.targets, asked) AS g
$mergeguard$;

-- What the nodes of a graph are now, by the semantics of the lookup.
CREATE OR REPLACE FUNCTION mergeguard.answers(nodes uuid[], starts integer[], news integer[], raw boolean DEFAULT false)
RETURNS TABLE (node integer, guid uuid, current uuid, depth integer, status text, component integer)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
    SELECT a.n::integer, a.g,
        CASE WHEN a.said = 0 AND NOT a.gone THEN a.goal END,
        CASE WHEN a.said = 0 AND NOT a.gone THEN a.far END,
        CASE WHEN a.said = 1 THEN 'cycle' WHEN a.said = 2 THEN 'split' WHEN a.gone THEN 'deleted'
            WHEN NOT raw AND d.live AND l.guid IS NULL THEN 'dangling' ELSE 'ok' END,
        a.component
    FROM (
        SELECT u.n, u.g, u.said, u.far, u.component, nodes[u.goal] AS goal,
            nodes[u.goal] = CAST('9203b1a9-5095-5898-a103-971f44c00fa4' AS uuid) AS gone
        FROM mergeguard.walked(starts, news) AS w
        CROSS JOIN LATERAL unnest(nodes, w.statuses, w.ends, w.depths, w.components)
            WITH ORDINALITY AS u (g, said, goal, far, component, n)
    ) AS a
    CROSS JOIN mergeguard.declared AS d
    LEFT JOIN (
        SELECT DISTINCT live.guid FROM unnest(nodes) AS wanted (g) JOIN mergeguard.live_guids AS live ON live.guid = wanted.g
    ) AS l ON l.guid = a.goal
$mergeguard$;

-- Every old with what it is now: what the lookup has to hold. With "raw" liveness is ignored.
CREATE OR REPLACE FUNCTION mergeguard.closure(raw boolean DEFAULT false)
RETURNS TABLE (old_guid uuid, current_guid uuid, depth integer, status text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $mergeguard$
    SELECT a.guid, a.current, a.depth, a.status
    FROM mergeguard.graph(raw) AS g
    CROSS JOIN LATERAL mergeguard.answers(g.nodes, g.starts, g.news, raw) AS a
    WHERE EXISTS (
        SELECT 1 FROM mergeguard.merge_rows AS m WHERE m.old_guid = a.guid AND m.new_guid IS NOT NULL
    )
$mergeguard$;

-- What one guid is now. A guid that no row merges away is its own current.
CREATE OR REPLACE FUNCTION mergeguard.current_guid(INOUT guid uuid, OUT current uuid, OUT depth integer, OUT status text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $mergeguard$
DECLARE
    asked uuid := guid;
    graph record;
    walked record;
    n integer;
BEGIN
    SELECT * INTO graph FROM mergeguard.reach(ARRAY[asked]);
    SELECT * INTO walked FROM mergeguard.walked(graph.starts, graph.news);
    n := array_position(graph.nodes, asked);
    current := graph.nodes[walked.ends[n]];
    depth := walked.depths[n];
    IF walked.statuses[n] > 0 THEN
        status := CASE WHEN walked.statuses[n] = 1 THEN 'cycle' ELSE 'split' END;
        current := NULL;
        depth := NULL;
    ELSIF current = CAST('9203b1a9-5095-5898-a103-971f44c00fa4' AS uuid) THEN
        status := 'deleted';
        current := NULL;
        depth := NULL;
    ELSIF (SELECT d.live FROM mergeguard.declared AS d)
        AND NOT EXISTS (SELECT 1 FROM mergeguard.live_guids AS l WHERE l.guid = current_guid.current) THEN
        status := 'dangling';
    ELSE
        status := 'ok';
    END IF;
END
$mergeguard$;

REVOKE ALL ON ALL ROUTINES IN SCHEMA mergeguard FROM PUBLIC;
