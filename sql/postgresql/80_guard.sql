-- MergeGuard SQL scripts, version 1: postgresql/80_guard.sql
-- The guard: a trigger on "public"."ResourceMerge" that refuses cycles, whoever writes them, and the one row that each check updates.
-- It touches the vendor's table. The same as 'mergeguard guard install'.
CREATE TABLE IF NOT EXISTS "public"."mergeguard_guard" (id integer NOT NULL PRIMARY KEY, turn bigint NOT NULL);

ALTER TABLE "public"."mergeguard_guard" SET (fillfactor = 10);

INSERT INTO "public"."mergeguard_guard" (id, turn) VALUES (1, 0) ON CONFLICT DO NOTHING;

DROP TRIGGER IF EXISTS "mergeguard_guard_insert" ON "public"."ResourceMerge";

DROP TRIGGER IF EXISTS "mergeguard_guard_update" ON "public"."ResourceMerge";

CREATE OR REPLACE FUNCTION "public"."mergeguard_guard_check"() RETURNS trigger LANGUAGE plpgsql VOLATILE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp AS $mergeguard$
-- MergeGuard guard, version 1: "public"."ResourceMerge", guids compared plain
DECLARE
    olds pg_catalog.uuid[];
    news pg_catalog.uuid[];
    counts bigint[];
    olds_left pg_catalog.uuid[];
    news_left pg_catalog.uuid[];
BEGIN
    -- Set by a repair or an undo of MergeGuard, which may put a damaged row back; no security boundary.
    IF current_setting('mergeguard.restoring', true) = 'on' THEN
        RETURN NULL;
    END IF;
    -- The merges of this statement, each once, with the number of rows that say it.
    IF TG_OP = 'INSERT' THEN
        SELECT array_agg(e.k_old), array_agg(e.k_new), array_agg(e.times) INTO olds, news, counts
        FROM (SELECT m."OldGuid" AS k_old, m."NewGuid" AS k_new, count(*) AS times FROM mergeguard_rows AS m GROUP BY 1, 2) AS e
        WHERE e.k_old IS NOT NULL AND e.k_new IS NOT NULL;
    ELSE
        SELECT array_agg(e.k_old), array_agg(e.k_new), array_agg(e.times) INTO olds, news, counts
        FROM (SELECT m."OldGuid" AS k_old, m."NewGuid" AS k_new, count(*) AS times FROM mergeguard_rows AS m GROUP BY 1, 2) AS e
        LEFT JOIN (SELECT DISTINCT m."OldGuid" AS k_old, m."NewGuid" AS k_new FROM mergeguard_rows_before AS m) AS b
            ON b.k_old = e.k_old AND b.k_new = e.k_new
        WHERE e.k_old IS NOT NULL AND e.k_new IS NOT NULL AND b.k_old IS NULL;
    END IF;
    IF olds IS NULL THEN
        RETURN NULL;
    END IF;
    -- Written, not only locked: who has an older snapshot fails here, who has none waits here.
    UPDATE "public"."mergeguard_guard" SET turn = turn + 1 WHERE id = 1;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'mergeguard: no-guard-row: the guard has lost its row; ''mergeguard guard install'' puts it back'
            USING ERRCODE = '23514', CONSTRAINT = 'mergeguard no-guard-row';
    END IF;
    -- A merge that other rows said before adds nothing, whatever is wrong with it.
    SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds, news
    FROM unnest(olds, news, counts) AS e (k_old, k_new, times)
    WHERE (SELECT count(*) FROM "public"."ResourceMerge" AS m WHERE m."OldGuid" = e.k_old AND m."NewGuid" = e.k_new) = e.times;
    IF olds IS NULL THEN
        RETURN NULL;
    END IF;
    SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds_left, news_left
    FROM unnest(olds, news) AS e (k_old, k_new) WHERE e.k_old = e.k_new;
    IF olds_left IS NOT NULL THEN
        olds := olds_left;
        news := news_left;
        RAISE EXCEPTION 'mergeguard: self-merge: a guid would be merged into itself (% -> %)', olds[1], news[1]
            USING ERRCODE = '23514', CONSTRAINT = 'mergeguard self-merge';
    END IF;
    SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds_left, news_left
    FROM unnest(olds, news) AS e (k_old, k_new)
    WHERE EXISTS (SELECT 1 FROM "public"."ResourceMerge" AS m WHERE m."OldGuid" = e.k_old AND m."NewGuid" <> e.k_new);
    IF olds_left IS NOT NULL THEN
        olds := olds_left;
        news := news_left;
        RAISE EXCEPTION 'mergeguard: conflict: a guid that was merged into one would be merged into another, too (% -> %)', olds[1], news[1]
            USING ERRCODE = '23514', CONSTRAINT = 'mergeguard conflict';
    END IF;
    -- A new merge stands on a cycle only if its old is reached from the new of one. Those that are not reached are left
    -- out, until none is left or all are reached: then there is a cycle, and a new merge on it.
    LOOP
        WITH RECURSIVE walk (k) AS (
            SELECT unnest(news)
            UNION
            -- OFFSET 0: an index lookup a step, where a join might read the whole table for each.
            SELECT s.k FROM walk
            CROSS JOIN LATERAL (SELECT m."NewGuid" AS k FROM "public"."ResourceMerge" AS m WHERE m."OldGuid" = walk.k OFFSET 0) AS s
        )
        SELECT array_agg(e.k_old), array_agg(e.k_new) INTO olds_left, news_left
        FROM unnest(olds, news) AS e (k_old, k_new) WHERE e.k_old IN (SELECT walk.k FROM walk);
        EXIT WHEN olds_left IS NULL;
        IF cardinality(olds_left) = cardinality(olds) THEN
            RAISE EXCEPTION 'mergeguard: cycle: merges would lead back to where they began (% -> %)', olds[1], news[1]
            USING ERRCODE = '23514', CONSTRAINT = 'mergeguard cycle';
        END IF;
        olds := olds_left;
        news := news_left;
    END LOOP;
    RETURN NULL;
END
$mergeguard$;

REVOKE ALL ON FUNCTION "public"."mergeguard_guard_check"() FROM PUBLIC;

CREATE TRIGGER "mergeguard_guard_insert" AFTER INSERT ON "public"."ResourceMerge" REFERENCING NEW TABLE AS mergeguard_rows FOR EACH STATEMENT EXECUTE FUNCTION "public"."mergeguard_guard_check"();

CREATE TRIGGER "mergeguard_guard_update" AFTER UPDATE ON "public"."ResourceMerge" REFERENCING OLD TABLE AS mergeguard_rows_before NEW TABLE AS mergeguard_rows FOR EACH STATEMENT EXECUTE FUNCTION "public"."mergeguard_guard_check"();
