-- MergeGuard SQL scripts, version 1: mssql/30_closure.sql
-- Where all guids lead, worked out in sets: each round doubles the length of every walk, so that a chain of a million
-- merges takes twenty rounds. For lookup and scan; nothing is written but temporary tables that the caller has made.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[number_guids]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[number_guids] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[close_walks]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[close_walks] AS RETURN');
GO

-- Numbers the guids of #row in the order of their texts, and finds the distinct merges.
--   #row  (row_id, old_guid, new_guid, merged_at)   in: the rows, those with a NULL too
--   #live (guid)                                    in: the live guids
--   #node (id, guid, live)                          out
--   #edge (old, new, copies)                        out
ALTER PROCEDURE [mergeguard].[number_guids]
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    INSERT INTO #node ([id], [guid], [live])
    SELECT
        ROW_NUMBER() OVER (ORDER BY LOWER(CONVERT(char(36), g.[guid])) COLLATE Latin1_General_BIN2),
        g.[guid],
        CASE WHEN EXISTS (SELECT 1 FROM #live AS l WHERE l.[guid] = g.[guid]) THEN 1 ELSE 0 END
    FROM (
        SELECT r.[old_guid] AS [guid] FROM #row AS r WHERE r.[old_guid] IS NOT NULL AND r.[new_guid] IS NOT NULL
        UNION
        SELECT r.[new_guid] FROM #row AS r WHERE r.[old_guid] IS NOT NULL AND r.[new_guid] IS NOT NULL
    ) AS g;
    INSERT INTO #edge ([old], [new], [copies])
    SELECT o.[id], n.[id], COUNT(*)
    FROM #row AS r
    JOIN #node AS o ON o.[guid] = r.[old_guid]
    JOIN #node AS n ON n.[guid] = r.[new_guid]
    GROUP BY o.[id], n.[id];
END;
GO

-- Follows every old of #edge to its end.
--   #node, #edge                                             in
--   #way    (id, jump, hops, least, done)                    out: olds with one step; done = 0: it leads into a ring of
--           such olds, jump stands on the ring, and least is the ring's smallest guid where the old stands on it
--   #fork   (id, first_end, last_end, depth, status, falls)  out: olds with several steps
--   #exit   (fork, via, stop, hops, ring)                    out: a step of a fork, and where it gets to: stop is an end
--           or a fork, ring the smallest guid of a ring of olds with one step
--   #answer (id, last, depth, status)                        out: every old; last is the number of its current
ALTER PROCEDURE [mergeguard].[close_walks] @live bit
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @olds bigint, @length bigint = 1, @changed int = 1;
    DECLARE @declared bit, @tombstone int;
    DELETE FROM #way;
    DELETE FROM #fork;
    DELETE FROM #exit;
    DELETE FROM #answer;
    SELECT @declared = CASE WHEN @live = 1 THEN d.[live] ELSE 0 END FROM [mergeguard].[declared] AS d;
    SELECT @tombstone = n.[id] FROM #node AS n WHERE n.[guid] = '9203b1a9-5095-5898-a103-971f44c00fa4';

    -- A live guid has no step, where liveness counts.
    INSERT INTO #way ([id], [jump], [hops], [least], [done])
    SELECT e.[old], MIN(e.[new]), 1, e.[old], 0
    FROM #edge AS e JOIN #node AS n ON n.[id] = e.[old]
    WHERE n.[live] = 0 OR @declared = 0
    GROUP BY e.[old] HAVING COUNT(*) = 1;
    SET @olds = @@ROWCOUNT;
    INSERT INTO #fork ([id], [falls])
    SELECT e.[old], 1
    FROM #edge AS e JOIN #node AS n ON n.[id] = e.[old]
    WHERE n.[live] = 0 OR @declared = 0
    GROUP BY e.[old] HAVING COUNT(*) > 1;

    UPDATE w SET [done] = 1 FROM #way AS w WHERE NOT EXISTS (SELECT 1 FROM #way AS n WHERE n.[id] = w.[jump]);
    WHILE @length <= @olds AND EXISTS (SELECT 1 FROM #way AS w WHERE w.[done] = 0)
    BEGIN
        UPDATE w SET
            [jump] = n.[jump],
            [hops] = w.[hops] + n.[hops],
            [least] = CASE WHEN n.[least] < w.[least] THEN n.[least] ELSE w.[least] END,
            [done] = n.[done]
        FROM #way AS w JOIN #way AS n ON n.[id] = w.[jump]
        WHERE w.[done] = 0;
        SET @length = @length * 2;
    END;

    UPDATE f SET [falls] = 1 + s.[olds]
    FROM #fork AS f
    JOIN (SELECT w.[jump], COUNT(*) AS [olds] FROM #way AS w WHERE w.[done] = 1 GROUP BY w.[jump]) AS s ON s.[jump] = f.[id];

    INSERT INTO #exit ([fork], [via], [stop], [hops], [ring])
    SELECT f.[id], e.[new],
        CASE WHEN w.[id] IS NULL THEN e.[new] WHEN w.[done] = 1 THEN w.[jump] END,
        CASE WHEN w.[id] IS NULL THEN 1 WHEN w.[done] = 1 THEN w.[hops] + 1 END,
        CASE WHEN w.[done] = 0 THEN r.[least] END
    FROM #fork AS f
    JOIN #edge AS e ON e.[old] = f.[id]
    LEFT JOIN #way AS w ON w.[id] = e.[new]
    LEFT JOIN #way AS r ON r.[id] = w.[jump] AND w.[done] = 0;

    -- A fork is settled when all of its exits are. One exit that leads in a circle is enough to know.
    UPDATE f SET [status] = 'cycle' FROM #fork AS f
    WHERE EXISTS (SELECT 1 FROM #exit AS x WHERE x.[fork] = f.[id] AND x.[ring] IS NOT NULL);
    WHILE @changed > 0
    BEGIN
        UPDATE f SET
            [status] = CASE WHEN s.[circles] > 0 THEN 'cycle' WHEN s.[first_end] <> s.[last_end] THEN 'split' ELSE 'ok' END,
            [first_end] = s.[first_end],
            [last_end] = s.[last_end],
            [depth] = s.[depth]
        FROM #fork AS f
        JOIN (
            SELECT x.[fork],
                MIN(COALESCE(a.[first_end], x.[stop])) AS [first_end],
                MAX(COALESCE(a.[last_end], x.[stop])) AS [last_end],
                MAX(x.[hops] + COALESCE(a.[depth], 0)) AS [depth],
                SUM(CASE WHEN a.[status] = 'cycle' THEN 1 ELSE 0 END) AS [circles],
                SUM(CASE WHEN a.[id] IS NOT NULL AND a.[status] IS NULL THEN 1 ELSE 0 END) AS [unsettled]
            FROM #exit AS x LEFT JOIN #fork AS a ON a.[id] = x.[stop]
            GROUP BY x.[fork]
        ) AS s ON s.[fork] = f.[id]
        WHERE f.[status] IS NULL AND (s.[circles] > 0 OR s.[unsettled] = 0);
        SET @changed = @@ROWCOUNT;
    END;
    UPDATE #fork SET [status] = 'cycle' WHERE [status] IS NULL;

    INSERT INTO #answer ([id], [last], [depth], [status])
    SELECT n.[id], n.[id], 0, 'ok' FROM #node AS n
    WHERE @declared = 1 AND n.[live] = 1 AND EXISTS (SELECT 1 FROM #edge AS e WHERE e.[old] = n.[id]);
    INSERT INTO #answer ([id], [last], [depth], [status])
    SELECT f.[id], CASE WHEN f.[status] = 'ok' THEN f.[first_end] END, CASE WHEN f.[status] = 'ok' THEN f.[depth] END, f.[status]
    FROM #fork AS f;
    INSERT INTO #answer ([id], [last], [depth], [status])
    SELECT w.[id],
        CASE WHEN w.[done] = 1 AND f.[id] IS NULL THEN w.[jump] WHEN w.[done] = 1 AND f.[status] = 'ok' THEN f.[first_end] END,
        CASE WHEN w.[done] = 1 AND f.[id] IS NULL THEN w.[hops]
            WHEN w.[done] = 1 AND f.[status] = 'ok' THEN w.[hops] + f.[depth] END,
        CASE WHEN w.[done] = 0 THEN 'cycle' WHEN f.[id] IS NULL THEN 'ok' ELSE f.[status] END
    FROM #way AS w LEFT JOIN #fork AS f ON f.[id] = w.[jump] AND w.[done] = 1;
    UPDATE a SET [last] = NULL, [depth] = NULL, [status] = 'deleted' FROM #answer AS a WHERE a.[last] = @tombstone;
    UPDATE a SET [status] = 'dangling'
    FROM #answer AS a JOIN #node AS n ON n.[id] = a.[last]
    WHERE @declared = 1 AND n.[live] = 0;
END;
GO
