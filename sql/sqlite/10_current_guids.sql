-- MergeGuard SQL scripts, version 1: sqlite/10_current_guids.sql
-- What every old guid is now: SELECT * FROM mergeguard_current_guids. It ends on any table, and writes nothing.
--
-- No walk is made twice: from each end, and from each old with several news (a fork), all that leads there by single rows
-- is numbered backwards, and what is never reached leads into a circle. Forks are then solved among themselves. So a chain
-- of 100,000 takes as long as 100,000 merges into one guid, a second or two; only the number of forks that lead to one
-- another counts squared.

-- The merges, each once.
DROP VIEW IF EXISTS mergeguard_edges;
CREATE VIEW mergeguard_edges (old_guid, new_guid) AS
SELECT DISTINCT old_guid, new_guid FROM mergeguard_merge_rows WHERE old_guid IS NOT NULL AND new_guid IS NOT NULL;

DROP VIEW IF EXISTS mergeguard_current_guids;
CREATE VIEW mergeguard_current_guids (guid, current, depth, status) AS
WITH RECURSIVE edge (o, n) AS MATERIALIZED (SELECT old_guid, new_guid FROM mergeguard_edges),
alive (g) AS MATERIALIZED (SELECT DISTINCT guid FROM mergeguard_live_guids WHERE guid IS NOT NULL),
-- A live guid leads nowhere.
step (o, n) AS MATERIALIZED (
    SELECT o, n FROM edge WHERE o NOT IN (SELECT g FROM alive) AND o <> '9203b1a9-5095-5898-a103-971f44c00fa4'
),
way (o, n, ways) AS MATERIALIZED (SELECT o, min(n), count(*) FROM step GROUP BY o),
single (o, n) AS MATERIALIZED (SELECT o, n FROM way WHERE ways = 1),
fork (o) AS MATERIALIZED (SELECT o FROM way WHERE ways > 1),
-- Each guid with the end or the fork that single rows lead it to.
up (g, stop, depth) AS (
    SELECT n, n, 0 FROM (SELECT DISTINCT n FROM step WHERE n NOT IN (SELECT o FROM way))
    UNION ALL SELECT o, o, 0 FROM fork
    UNION ALL SELECT single.o, up.stop, up.depth + 1 FROM up JOIN single ON single.n = up.g
),
stopped (g, stop, depth) AS MATERIALIZED (SELECT g, stop, depth FROM up),
-- From a fork to where its rows stop; NULL is a circle without a fork.
jump (fork, stop, depth) AS MATERIALIZED (
    SELECT fork.o, stopped.stop, stopped.depth + 1
    FROM fork CROSS JOIN step ON step.o = fork.o LEFT JOIN stopped ON stopped.g = step.n
),
reach (fork, stop) AS (
    SELECT fork, stop FROM jump UNION SELECT reach.fork, jump.stop FROM reach JOIN jump ON jump.fork = reach.stop
),
reached (fork, stop) AS MATERIALIZED (SELECT fork, stop FROM reach),
-- Forks from which a walk may never end, and those that reach two ends.
endless (fork) AS MATERIALIZED (
    SELECT DISTINCT fork FROM reached
    WHERE stop IS NULL OR stop IN (SELECT fork FROM reached AS own WHERE own.stop = own.fork)
),
goal (fork, stop, goals) AS MATERIALIZED (
    SELECT fork, min(stop), count(*) FROM reached
    WHERE stop NOT IN (SELECT o FROM fork) AND fork NOT IN (SELECT fork FROM endless) GROUP BY fork
),
-- The longest way from a fork to its one end; never grown where there is no one end.
long (fork, stop, depth) AS (
    SELECT jump.fork, jump.stop, jump.depth FROM jump JOIN goal ON goal.fork = jump.fork AND goal.goals = 1
    UNION SELECT long.fork, jump.stop, long.depth + jump.depth FROM long JOIN jump ON jump.fork = long.stop
),
far (fork, depth) AS MATERIALIZED (
    SELECT fork, max(depth) FROM long WHERE stop NOT IN (SELECT o FROM fork) GROUP BY fork
),
answer (g, current, depth, status) AS MATERIALIZED (
    SELECT way.o,
        CASE WHEN stopped.g IS NULL OR fork.o IS NULL THEN stopped.stop WHEN goal.goals = 1 THEN goal.stop END,
        CASE WHEN fork.o IS NULL THEN stopped.depth WHEN goal.goals = 1 THEN stopped.depth + far.depth END,
        CASE WHEN stopped.g IS NULL OR endless.fork IS NOT NULL THEN 'cycle' WHEN goal.goals > 1 THEN 'split' ELSE 'ok' END
    FROM way
    LEFT JOIN stopped ON stopped.g = way.o
    LEFT JOIN fork ON fork.o = stopped.stop
    LEFT JOIN endless ON endless.fork = stopped.stop
    LEFT JOIN goal ON goal.fork = stopped.stop
    LEFT JOIN far ON far.fork = stopped.stop
)
SELECT g, nullif(current, '9203b1a9-5095-5898-a103-971f44c00fa4'),
    CASE WHEN current <> '9203b1a9-5095-5898-a103-971f44c00fa4' THEN depth END,
    CASE WHEN current = '9203b1a9-5095-5898-a103-971f44c00fa4' THEN 'deleted'
        WHEN status = 'ok' AND (SELECT live FROM mergeguard_declared) AND current NOT IN (SELECT g FROM alive) THEN 'dangling'
        ELSE status END
FROM answer
-- An old that is live is its own current.
UNION ALL SELECT DISTINCT o, o, 0, 'ok' FROM edge WHERE o IN (SELECT g FROM alive)
-- Nobody merges what stands for "deleted"; a row that does so changes nothing.
UNION ALL SELECT DISTINCT o, NULL, NULL, 'deleted' FROM edge
WHERE o = '9203b1a9-5095-5898-a103-971f44c00fa4' AND o NOT IN (SELECT g FROM alive);

-- The same by the rows alone, as if no guid were live: what is wrong with the rows is told by it.
DROP VIEW IF EXISTS mergeguard_raw_guids;
CREATE VIEW mergeguard_raw_guids (guid, current, depth, status) AS
WITH RECURSIVE edge (o, n) AS MATERIALIZED (SELECT old_guid, new_guid FROM mergeguard_edges),
step (o, n) AS MATERIALIZED (
    SELECT o, n FROM edge WHERE o <> '9203b1a9-5095-5898-a103-971f44c00fa4'
),
way (o, n, ways) AS MATERIALIZED (SELECT o, min(n), count(*) FROM step GROUP BY o),
single (o, n) AS MATERIALIZED (SELECT o, n FROM way WHERE ways = 1),
fork (o) AS MATERIALIZED (SELECT o FROM way WHERE ways > 1),
-- Each guid with the end or the fork that single rows lead it to.
up (g, stop, depth) AS (
    SELECT n, n, 0 FROM (SELECT DISTINCT n FROM step WHERE n NOT IN (SELECT o FROM way))
    UNION ALL SELECT o, o, 0 FROM fork
    UNION ALL SELECT single.o, up.stop, up.depth + 1 FROM up JOIN single ON single.n = up.g
),
stopped (g, stop, depth) AS MATERIALIZED (SELECT g, stop, depth FROM up),
-- From a fork to where its rows stop; NULL is a circle without a fork.
jump (fork, stop, depth) AS MATERIALIZED (
    SELECT fork.o, stopped.stop, stopped.depth + 1
    FROM fork CROSS JOIN step ON step.o = fork.o LEFT JOIN stopped ON stopped.g = step.n
),
reach (fork, stop) AS (
    SELECT fork, stop FROM jump UNION SELECT reach.fork, jump.stop FROM reach JOIN jump ON jump.fork = reach.stop
),
reached (fork, stop) AS MATERIALIZED (SELECT fork, stop FROM reach),
-- Forks from which a walk may never end, and those that reach two ends.
endless (fork) AS MATERIALIZED (
    SELECT DISTINCT fork FROM reached
    WHERE stop IS NULL OR stop IN (SELECT fork FROM reached AS own WHERE own.stop = own.fork)
),
goal (fork, stop, goals) AS MATERIALIZED (
    SELECT fork, min(stop), count(*) FROM reached
    WHERE stop NOT IN (SELECT o FROM fork) AND fork NOT IN (SELECT fork FROM endless) GROUP BY fork
),
-- The longest way from a fork to its one end; never grown where there is no one end.
long (fork, stop, depth) AS (
    SELECT jump.fork, jump.stop, jump.depth FROM jump JOIN goal ON goal.fork = jump.fork AND goal.goals = 1
    UNION SELECT long.fork, jump.stop, long.depth + jump.depth FROM long JOIN jump ON jump.fork = long.stop
),
far (fork, depth) AS MATERIALIZED (
    SELECT fork, max(depth) FROM long WHERE stop NOT IN (SELECT o FROM fork) GROUP BY fork
),
answer (g, current, depth, status) AS MATERIALIZED (
    SELECT way.o,
        CASE WHEN stopped.g IS NULL OR fork.o IS NULL THEN stopped.stop WHEN goal.goals = 1 THEN goal.stop END,
        CASE WHEN fork.o IS NULL THEN stopped.depth WHEN goal.goals = 1 THEN stopped.depth + far.depth END,
        CASE WHEN stopped.g IS NULL OR endless.fork IS NOT NULL THEN 'cycle' WHEN goal.goals > 1 THEN 'split' ELSE 'ok' END
    FROM way
    LEFT JOIN stopped ON stopped.g = way.o
    LEFT JOIN fork ON fork.o = stopped.stop
    LEFT JOIN endless ON endless.fork = stopped.stop
    LEFT JOIN goal ON goal.fork = stopped.stop
    LEFT JOIN far ON far.fork = stopped.stop
)
SELECT g, nullif(current, '9203b1a9-5095-5898-a103-971f44c00fa4'),
    CASE WHEN current <> '9203b1a9-5095-5898-a103-971f44c00fa4' THEN depth END,
    CASE WHEN current = '9203b1a9-5095-5898-a103-971f44c00fa4' THEN 'deleted'
        ELSE status END
FROM answer
-- Nobody merges what stands for "deleted"; a row that does so changes nothing.
UNION ALL SELECT DISTINCT o, NULL, NULL, 'deleted' FROM edge
WHERE o = '9203b1a9-5095-5898-a103-971f44c00fa4';
