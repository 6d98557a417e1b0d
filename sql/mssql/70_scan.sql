-- MergeGuard SQL scripts, version 1: mssql/70_scan.sql
-- What is wrong with the merges: scan_merges finds what 'mergeguard scan' finds. It reads only, in one snapshot where the
-- database allows that, and works in temporary tables.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[find_rings]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[find_rings] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[scan_rows]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[scan_rows] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[scan_walks]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[scan_walks] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[scan_merges]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[scan_merges] AS RETURN');
GO

IF OBJECT_ID(N'[mergeguard].[rules_checked]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[rules_checked] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[rules_checked] AS
SELECT r.[rule], r.[name], r.[severity], CONVERT(bit, CASE r.[needs] WHEN 'live' THEN d.[live] WHEN 'types' THEN d.[types]
    WHEN 'times' THEN d.[times] WHEN 'refs' THEN d.[refs] ELSE 1 END) AS [checked]
FROM [mergeguard].[declared] AS d
CROSS JOIN (VALUES
    ('MG001', N'cycle', N'error', ''),
    ('MG002', N'self-merge', N'error', ''),
    ('MG003', N'split', N'error', ''),
    ('MG004', N'dangling', N'warning', 'live'),
    ('MG005', N'shadowed-live', N'error', 'live'),
    ('MG006', N'type-mismatch', N'error', 'types'),
    ('MG007', N'malformed-guid', N'error', ''),
    ('MG008', N'empty-guid', N'error', ''),
    ('MG009', N'lookup-drift', N'error', ''),
    ('MG010', N'stale-reference', N'warning', 'refs'),
    ('MG011', N'flip-flop', N'warning', 'times'),
    ('MG012', N'cycle-tree', N'warning', ''),
    ('MG013', N'chain', N'info', ''),
    ('MG014', N'redundant', N'info', '')
) AS r ([rule], [name], [severity], [needs]);
GO

-- Cycles as strongly connected components of two guids or more, over all rows: #ring (ring, id, simple, turn), and how
-- many olds lead into each, its members among them: #down (ring, olds). The caller has closed the walks without liveness.
ALTER PROCEDURE [mergeguard].[find_rings]
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @changed int, @left int, @turn int;
    CREATE TABLE #link ([a] int NOT NULL, [b] int NOT NULL, PRIMARY KEY ([a], [b]), UNIQUE ([b], [a]));
    CREATE TABLE #core ([id] int NOT NULL PRIMARY KEY, [color] int NOT NULL, [part] int NULL);
    CREATE TABLE #reach ([fork] int NOT NULL, [ring] int NOT NULL, [turn] int NOT NULL, PRIMARY KEY ([fork], [ring]));

    -- Rings of olds with one step, named by their smallest guid. A self-merge is none.
    INSERT INTO #ring ([ring], [id], [simple], [turn])
    SELECT r.[least], r.[id], 1, 0 FROM #way AS r
    WHERE r.[done] = 0 AND EXISTS (SELECT 1 FROM #way AS w WHERE w.[done] = 0 AND w.[jump] = r.[id])
        AND NOT EXISTS (SELECT 1 FROM #edge AS e WHERE e.[old] = r.[id] AND e.[new] = r.[id]);

    -- Components among the forks: those that no walk leaves or enters are taken away, then each takes the smallest number
    -- of all that lead to it; what the owner of a number leads to, and is led to from, is its component.
    INSERT INTO #link ([a], [b])
    SELECT DISTINCT x.[fork], x.[stop] FROM #exit AS x JOIN #fork AS f ON f.[id] = x.[stop]
    WHERE x.[fork] <> x.[stop] OR x.[hops] > 1;
    INSERT INTO #core ([id], [color]) SELECT f.[id], f.[id] FROM #fork AS f WHERE f.[status] = 'cycle';
    SET @left = @@ROWCOUNT;
    WHILE @left > 0
    BEGIN
        SET @changed = 1;
        WHILE @changed > 0
        BEGIN
            DELETE c FROM #core AS c
            WHERE c.[part] IS NULL AND (
                NOT EXISTS (SELECT 1 FROM #link AS l JOIN #core AS o ON o.[id] = l.[b] AND o.[part] IS NULL WHERE l.[a] = c.[id])
                OR NOT EXISTS (SELECT 1 FROM #link AS l JOIN #core AS o ON o.[id] = l.[a] AND o.[part] IS NULL WHERE l.[b] = c.[id]));
            SET @changed = @@ROWCOUNT;
        END;
        UPDATE #core SET [color] = [id] WHERE [part] IS NULL;
        SET @changed = @@ROWCOUNT;
        WHILE @changed > 0
        BEGIN
            UPDATE c SET [color] = s.[color]
            FROM #core AS c
            JOIN (
                SELECT l.[b], MIN(o.[color]) AS [color]
                FROM #link AS l JOIN #core AS o ON o.[id] = l.[a] WHERE o.[part] IS NULL GROUP BY l.[b]
            ) AS s ON s.[b] = c.[id]
            WHERE c.[part] IS NULL AND s.[color] < c.[color];
            SET @changed = @@ROWCOUNT;
        END;
        UPDATE #core SET [part] = [id] WHERE [part] IS NULL AND [color] = [id];
        SET @changed = @@ROWCOUNT;
        WHILE @changed > 0
        BEGIN
            UPDATE c SET [part] = c.[color]
            FROM #core AS c
            WHERE c.[part] IS NULL
                AND EXISTS (SELECT 1 FROM #link AS l JOIN #core AS o ON o.[id] = l.[b] WHERE l.[a] = c.[id] AND o.[part] = c.[color]);
            SET @changed = @@ROWCOUNT;
        END;
        SELECT @left = COUNT(*) FROM #core AS c WHERE c.[part] IS NULL;
    END;
    -- A fork alone is a ring only where a walk leads back to it.
    DELETE c FROM #core AS c
    WHERE NOT EXISTS (SELECT 1 FROM #core AS o WHERE o.[part] = c.[part] AND o.[id] <> c.[id])
        AND NOT EXISTS (SELECT 1 FROM #link AS l WHERE l.[a] = c.[id] AND l.[b] = c.[id]);

    -- All olds on the walks within a component belong to it; it is called by the negative number of a fork.
    INSERT INTO #ring ([ring], [id], [simple], [turn]) SELECT -c.[part], c.[id], 0, 0 FROM #core AS c;
    INSERT INTO #ring ([ring], [id], [simple], [turn])
    SELECT DISTINCT -c.[part], x.[via], 0, 1
    FROM #exit AS x
    JOIN #core AS c ON c.[id] = x.[fork]
    JOIN #core AS o ON o.[id] = x.[stop] AND o.[part] = c.[part]
    WHERE NOT EXISTS (SELECT 1 FROM #ring AS r WHERE r.[ring] = -c.[part] AND r.[id] = x.[via]);
    SELECT @changed = @@ROWCOUNT, @turn = 1;
    WHILE @changed > 0
    BEGIN
        INSERT INTO #ring ([ring], [id], [simple], [turn])
        SELECT DISTINCT r.[ring], e.[new], 0, @turn + 1
        FROM #ring AS r JOIN #way AS w ON w.[id] = r.[id] JOIN #edge AS e ON e.[old] = w.[id]
        WHERE r.[turn] = @turn AND r.[simple] = 0
            AND NOT EXISTS (SELECT 1 FROM #ring AS seen WHERE seen.[ring] = r.[ring] AND seen.[id] = e.[new]);
        SELECT @changed = @@ROWCOUNT, @turn = @turn + 1;
    END;

    -- Which forks lead into which ring.
    INSERT INTO #reach ([fork], [ring], [turn])
    SELECT x.[fork], x.[ring], 0 FROM #exit AS x
    WHERE EXISTS (SELECT 1 FROM #ring AS r WHERE r.[ring] = x.[ring])
    UNION
    SELECT c.[id], -c.[part], 0 FROM #core AS c;
    SELECT @changed = @@ROWCOUNT, @turn = 0;
    WHILE @changed > 0
    BEGIN
        INSERT INTO #reach ([fork], [ring], [turn])
        SELECT DISTINCT l.[a], r.[ring], @turn + 1
        FROM #reach AS r JOIN #link AS l ON l.[b] = r.[fork]
        WHERE r.[turn] = @turn AND NOT EXISTS (SELECT 1 FROM #reach AS seen WHERE seen.[fork] = l.[a] AND seen.[ring] = r.[ring]);
        SELECT @changed = @@ROWCOUNT, @turn = @turn + 1;
    END;
    INSERT INTO #down ([ring], [olds])
    SELECT s.[ring], SUM(s.[olds])
    FROM (
        SELECT r.[least] AS [ring], COUNT(*) AS [olds]
        FROM #way AS w JOIN #way AS r ON r.[id] = w.[jump] WHERE w.[done] = 0 GROUP BY r.[least]
        UNION ALL
        SELECT h.[ring], SUM(f.[falls]) FROM #reach AS h JOIN #fork AS f ON f.[id] = h.[fork] GROUP BY h.[ring]
    ) AS s
    WHERE EXISTS (SELECT 1 FROM #ring AS r WHERE r.[ring] = s.[ring])
    GROUP BY s.[ring];
END;
GO

-- Findings about the rows themselves, liveness ignored. What is found goes into #found (number, rule, rows, detail) and
-- its guids into #about (number, id): key_one is the guid that it is about, or its ring.
ALTER PROCEDURE [mergeguard].[scan_rows]
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @changed int, @turn int, @copies bigint, @agreeing int;
    CREATE TABLE #terminal ([fork] int NOT NULL, [id] int NOT NULL, [turn] int NOT NULL, PRIMARY KEY ([fork], [id]));
    CREATE TABLE #single ([id] int NOT NULL PRIMARY KEY, [type] nvarchar(400) COLLATE Latin1_General_BIN2 NOT NULL);

    -- MG001 cycle, MG012 cycle-tree.
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG001', d.[ring],
        (SELECT SUM(e.[copies]) FROM #edge AS e
            JOIN #ring AS a ON a.[ring] = d.[ring] AND a.[id] = e.[old]
            JOIN #ring AS b ON b.[ring] = d.[ring] AND b.[id] = e.[new] WHERE e.[old] <> e.[new]),
        CONCAT(m.[members], N' guids lead in ', CASE m.[simple] WHEN 1 THEN N'a circle' ELSE N'circles, with conflicts' END,
            CASE WHEN d.[olds] > m.[members] THEN CONCAT(N'; ', d.[olds] - m.[members], N' more lead',
                CASE WHEN d.[olds] - m.[members] > 1 THEN N'' ELSE N's' END, N' into it') END)
    FROM #down AS d
    JOIN (SELECT r.[ring], COUNT(*) AS [members], MAX(CONVERT(int, r.[simple])) AS [simple] FROM #ring AS r GROUP BY r.[ring]) AS m
        ON m.[ring] = d.[ring];
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG012', d.[ring], d.[olds] - m.[members],
        CONCAT(d.[olds] - m.[members], CASE WHEN d.[olds] - m.[members] > 1 THEN N' guids lead' ELSE N' guid leads' END,
            N' into a cycle of ', m.[members])
    FROM #down AS d
    JOIN (SELECT r.[ring], COUNT(*) AS [members] FROM #ring AS r GROUP BY r.[ring]) AS m ON m.[ring] = d.[ring]
    WHERE d.[olds] > m.[members];
    INSERT INTO #about ([number], [id])
    SELECT f.[number], r.[id] FROM #found AS f JOIN #ring AS r ON r.[ring] = f.[key_one] WHERE f.[rule] IN ('MG001', 'MG012');

    -- MG002 self-merge.
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG002', e.[old], e.[copies],
        CONCAT(N'the guid is merged into itself', CASE WHEN e.[copies] > 1 THEN CONCAT(N' in ', e.[copies], N' rows') END)
    FROM #edge AS e WHERE e.[old] = e.[new];

    -- MG003 split.
    INSERT INTO #terminal ([fork], [id], [turn])
    SELECT DISTINCT x.[fork], x.[stop], 0 FROM #exit AS x
    WHERE x.[stop] IS NOT NULL AND NOT EXISTS (SELECT 1 FROM #fork AS f WHERE f.[id] = x.[stop]);
    SELECT @changed = @@ROWCOUNT, @turn = 0;
    WHILE @changed > 0
    BEGIN
        INSERT INTO #terminal ([fork], [id], [turn])
        SELECT DISTINCT x.[fork], t.[id], @turn + 1
        FROM #terminal AS t JOIN #exit AS x ON x.[stop] = t.[fork] JOIN #fork AS f ON f.[id] = x.[fork] AND f.[status] = 'split'
        WHERE t.[turn] = @turn AND NOT EXISTS (SELECT 1 FROM #terminal AS seen WHERE seen.[fork] = x.[fork] AND seen.[id] = t.[id]);
        SELECT @changed = @@ROWCOUNT, @turn = @turn + 1;
    END;
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG003', f.[id], s.[rows], CONCAT(N'one old, ', s.[news], N' news, at least ',
        (SELECT CASE WHEN COUNT(*) > 10 THEN 10 ELSE COUNT(*) END FROM #terminal AS t WHERE t.[fork] = f.[id]), N' different currents')
    FROM #fork AS f
    JOIN (SELECT e.[old], COUNT(*) AS [news], SUM(e.[copies]) AS [rows] FROM #edge AS e GROUP BY e.[old]) AS s ON s.[old] = f.[id]
    WHERE f.[status] = 'split';

    -- MG006 type-mismatch: guids of no type, or of several, are passed over.
    INSERT INTO #single ([id], [type])
    SELECT n.[id], MIN(t.[type]) FROM #node AS n JOIN #type AS t ON t.[guid] = n.[guid]
    GROUP BY n.[id] HAVING COUNT(*) = 1;
    INSERT INTO #found ([rule], [key_one], [key_two], [rows], [detail])
    SELECT 'MG006', e.[old], e.[new], e.[copies], CONCAT(N'a ', a.[type], N' is merged into a ', b.[type])
    FROM #edge AS e JOIN #single AS a ON a.[id] = e.[old] JOIN #single AS b ON b.[id] = e.[new]
    WHERE a.[type] <> b.[type];

    -- MG007 malformed-guid, MG008 empty-guid.
    INSERT INTO #found ([rule], [rows], [detail])
    SELECT CASE WHEN LTRIM(RTRIM(COALESCE(v.[value], N''))) = N'' THEN 'MG008' ELSE 'MG007' END, 1,
        CONCAT(N'row ', r.[row_id], N': ', v.[name], CASE WHEN v.[value] IS NULL THEN N' is NULL'
            WHEN LTRIM(RTRIM(v.[value])) = N'' THEN N' is blank' ELSE CONCAT(N' holds ''', v.[value], N''', which is no guid') END)
    FROM #row AS r
    CROSS APPLY (
        SELECT CASE WHEN r.[old_guid] IS NULL THEN N'old' ELSE N'new' END AS [name],
            CASE WHEN r.[old_guid] IS NULL THEN r.[old_text] ELSE r.[new_text] END AS [value]
    ) AS v
    WHERE r.[old_guid] IS NULL OR r.[new_guid] IS NULL;
    INSERT INTO #found ([rule], [key_one], [key_two], [rows], [detail])
    SELECT 'MG008', e.[old], e.[new], e.[copies],
        CONCAT(CASE o.[guid] WHEN '00000000-0000-0000-0000-000000000000' THEN N'old' ELSE N'new' END, N' is the all-zero guid')
    FROM #edge AS e JOIN #node AS o ON o.[id] = e.[old] JOIN #node AS n ON n.[id] = e.[new]
    WHERE '00000000-0000-0000-0000-000000000000' IN (o.[guid], n.[guid]);

    -- MG011 flip-flop.
    INSERT INTO #found ([rule], [key_one], [key_two], [rows], [detail])
    SELECT 'MG011', e.[old], e.[new], e.[copies] + b.[copies], CONCAT(N'merged in both directions, ', e.[copies] + b.[copies], N' rows',
        N'; the last row is of ' + LEFT(CONVERT(nvarchar(30), (
            SELECT MAX(r.[merged_at]) FROM #row AS r JOIN #node AS o ON o.[guid] = r.[old_guid] JOIN #node AS n ON n.[guid] = r.[new_guid]
            WHERE (o.[id] = e.[old] AND n.[id] = e.[new]) OR (o.[id] = e.[new] AND n.[id] = e.[old])
        ), 120), 16))
    FROM #edge AS e JOIN #edge AS b ON b.[old] = e.[new] AND b.[new] = e.[old]
    WHERE e.[old] < e.[new] AND EXISTS (SELECT 1 FROM [mergeguard].[declared] AS d WHERE d.[times] = 1);

    -- MG014 redundant.
    SELECT @copies = COALESCE(SUM(CONVERT(bigint, e.[copies]) - 1), 0) FROM #edge AS e;
    SELECT @agreeing = COUNT(*) FROM #fork AS f WHERE f.[status] = 'ok';
    IF @copies > 0 OR @agreeing > 0
        INSERT INTO #found ([rule], [rows], [detail])
        VALUES ('MG014', @copies + @agreeing, CONCAT(
            CASE WHEN @copies > 0 THEN CONCAT(@copies, N' exact cop', CASE WHEN @copies > 1 THEN N'ies' ELSE N'y' END) END,
            CASE WHEN @copies > 0 AND @agreeing > 0 THEN N' and ' END,
            CASE WHEN @agreeing > 0 THEN CONCAT(@agreeing, N' old', CASE WHEN @agreeing > 1 THEN N's' END,
                N' with several news and one current') END));
    INSERT INTO #about ([number], [id])
    SELECT f.[number], f.[key_one] FROM #found AS f
    WHERE f.[rule] IN ('MG002', 'MG003', 'MG006', 'MG008', 'MG011') AND f.[key_one] IS NOT NULL
    UNION
    SELECT f.[number], f.[key_two] FROM #found AS f
    WHERE f.[rule] IN ('MG006', 'MG008', 'MG011') AND f.[key_two] IS NOT NULL
    UNION
    SELECT f.[number], e.[new] FROM #found AS f JOIN #edge AS e ON e.[old] = f.[key_one] WHERE f.[rule] = 'MG003';
END;
GO

-- Findings about what guids are now, live guids not walked through. The caller has closed the walks so.
ALTER PROCEDURE [mergeguard].[scan_walks]
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @live bit, @rows bigint, @deep int;
    CREATE TABLE #away ([id] int NOT NULL PRIMARY KEY);
    SELECT @live = d.[live] FROM [mergeguard].[declared] AS d;

    -- MG004 dangling, MG005 shadowed-live.
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG004', s.[last], s.[olds], CONCAT(s.[olds], CASE WHEN s.[olds] > 1 THEN N' olds lead' ELSE N' old leads' END,
        N' to a guid that is not live')
    FROM (
        SELECT a.[last], COUNT(*) AS [olds] FROM #answer AS a WHERE a.[status] = 'dangling' GROUP BY a.[last]
    ) AS s;
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG005', n.[id], SUM(e.[copies]), N'a live guid is merged away'
    FROM #node AS n JOIN #edge AS e ON e.[old] = n.[id] AND e.[new] <> n.[id]
    WHERE @live = 1 AND n.[live] = 1 GROUP BY n.[id];

    -- MG009 lookup-drift.
    -- Of several rows for one old a right one counts.
    INSERT INTO #found ([rule], [guid], [rows], [detail])
    SELECT 'MG009', s.[old_guid], 1, CASE
        WHEN s.[id] IS NULL THEN N'the lookup holds a row for a guid that no row merges away'
        WHEN s.[place] > 1 THEN N'the lookup holds another row for an old that has one'
        ELSE N'the lookup gives another answer than the rows' END
    FROM (
        SELECT k.[old_guid], q.[id], f.[fits], ROW_NUMBER() OVER (PARTITION BY k.[old_guid] ORDER BY f.[fits] DESC) AS [place]
        FROM #stored AS k
        LEFT JOIN (
            SELECT n.[guid], a.[id], c.[guid] AS [current_guid], a.[depth], a.[status]
            FROM #answer AS a JOIN #node AS n ON n.[id] = a.[id] LEFT JOIN #node AS c ON c.[id] = a.[last]
        ) AS q ON q.[guid] = k.[old_guid]
        CROSS APPLY (
            SELECT CASE WHEN EXISTS (SELECT q.[current_guid], q.[depth], q.[status] EXCEPT SELECT k.[current_guid], k.[depth], k.[status])
                THEN 0 ELSE 1 END AS [fits]
        ) AS f
        WHERE k.[old_guid] IS NOT NULL
    ) AS s
    WHERE s.[id] IS NULL OR s.[place] > 1 OR s.[fits] = 0;
    INSERT INTO #found ([rule], [key_one], [rows], [detail])
    SELECT 'MG009', a.[id], 1, N'the lookup has no row for this old'
    FROM #answer AS a JOIN #node AS n ON n.[id] = a.[id]
    WHERE NOT EXISTS (SELECT 1 FROM #stored AS k WHERE k.[old_guid] = n.[guid]);
    INSERT INTO #found ([rule], [rows], [detail])
    SELECT 'MG009', COUNT(*), N'rows of the lookup have no guid as old' FROM #stored AS k WHERE k.[old_guid] IS NULL HAVING COUNT(*) > 0;

    -- MG010 stale-reference: a guid is merged away where a row leads it anywhere but to itself, and it is not live.
    INSERT INTO #away ([id])
    SELECT DISTINCT e.[old] FROM #edge AS e JOIN #node AS n ON n.[id] = e.[old]
    WHERE e.[new] <> e.[old] AND (@live = 0 OR n.[live] = 0);
    INSERT INTO #found ([rule], [reference], [rows], [detail])
    SELECT 'MG010', r.[reference], SUM(r.[cells]), CONCAT(SUM(r.[cells]), CASE WHEN SUM(r.[cells]) > 1 THEN N' rows' ELSE N' row' END, N' of ', r.[reference],
        CASE WHEN SUM(r.[cells]) > 1 THEN N' hold ' ELSE N' holds ' END, COUNT(*), N' merged-away guid',
        CASE WHEN COUNT(*) > 1 THEN N's' END)
    FROM #reference AS r JOIN #node AS n ON n.[guid] = r.[guid] JOIN #away AS w ON w.[id] = n.[id]
    GROUP BY r.[reference];

    -- MG013 chain.
    SELECT @rows = COALESCE(SUM(CONVERT(bigint, e.[copies])), 0) FROM #edge AS e
    WHERE e.[old] <> e.[new] AND EXISTS (SELECT 1 FROM #edge AS o WHERE o.[old] = e.[new]);
    SELECT @deep = COUNT(*) FROM #answer AS a WHERE a.[depth] > 1;
    IF @rows > 0
        INSERT INTO #found ([rule], [rows], [detail])
        VALUES ('MG013', @rows, CONCAT(@rows, CASE WHEN @rows > 1 THEN N' rows lead' ELSE N' row leads' END,
            N' to a guid that was itself merged away; ', @deep, CASE WHEN @deep <> 1 THEN N' olds lie' ELSE N' old lies' END,
            N' two merges or more from the current guid'));
    INSERT INTO #about ([number], [id])
    SELECT f.[number], a.[id] FROM #found AS f JOIN #answer AS a ON a.[last] = f.[key_one] AND a.[status] = 'dangling' WHERE f.[rule] = 'MG004'
    UNION
    SELECT f.[number], e.[new] FROM #found AS f JOIN #edge AS e ON e.[old] = f.[key_one] WHERE f.[rule] = 'MG005'
    UNION
    SELECT f.[number], f.[key_one] FROM #found AS f WHERE f.[rule] IN ('MG005', 'MG009') AND f.[key_one] IS NOT NULL
    UNION
    SELECT f.[number], n.[id]
    FROM #found AS f
    JOIN #reference AS r ON r.[reference] = f.[reference]
    JOIN #node AS n ON n.[guid] = r.[guid]
    JOIN #away AS w ON w.[id] = n.[id]
    WHERE f.[rule] = 'MG010';
END;
GO

-- Answers in a row a finding: [guid] is what it is about, [guids] what belongs to it, in text order and at most 50, [rows]
-- how many rows or guids say so. What a rule needs and nobody has declared is told by [mergeguard].[rules_checked].
ALTER PROCEDURE [mergeguard].[scan_merges]
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET LOCK_TIMEOUT 10000;
    SET DEADLOCK_PRIORITY LOW;
    IF @@TRANCOUNT = 0
        SET IMPLICIT_TRANSACTIONS OFF;
    CREATE TABLE #row (
        [row_id] nvarchar(200) COLLATE DATABASE_DEFAULT NULL,
        [old_guid] uniqueidentifier NULL,
        [new_guid] uniqueidentifier NULL,
        [old_text] nvarchar(400) COLLATE DATABASE_DEFAULT NULL,
        [new_text] nvarchar(400) COLLATE DATABASE_DEFAULT NULL,
        [merged_at] datetime2(7) NULL
    );
    CREATE TABLE #live ([guid] uniqueidentifier NOT NULL PRIMARY KEY);
    CREATE TABLE #type ([guid] uniqueidentifier NOT NULL, [type] nvarchar(400) COLLATE Latin1_General_BIN2 NOT NULL,
        PRIMARY KEY ([guid], [type]));
    CREATE TABLE #reference ([reference] nvarchar(400) COLLATE DATABASE_DEFAULT NOT NULL, [guid] uniqueidentifier NOT NULL,
        [cells] bigint NOT NULL);
    CREATE TABLE #stored ([old_guid] uniqueidentifier NULL, [current_guid] uniqueidentifier NULL, [depth] int NULL,
        [status] varchar(16) COLLATE DATABASE_DEFAULT NULL);
    CREATE TABLE #node ([id] int NOT NULL PRIMARY KEY, [guid] uniqueidentifier NOT NULL UNIQUE, [live] bit NOT NULL);
    CREATE TABLE #edge ([old] int NOT NULL, [new] int NOT NULL, [copies] int NOT NULL, PRIMARY KEY ([old], [new]));
    CREATE TABLE #way (
        [id] int NOT NULL PRIMARY KEY,
        [jump] int NOT NULL,
        [hops] bigint NOT NULL,
        [least] int NOT NULL,
        [done] bit NOT NULL
    );
    CREATE TABLE #fork (
        [id] int NOT NULL PRIMARY KEY,
        [first_end] int NULL,
        [last_end] int NULL,
        [depth] bigint NULL,
        [status] varchar(16) COLLATE DATABASE_DEFAULT NULL,
        [falls] int NOT NULL
    );
    CREATE TABLE #exit ([fork] int NOT NULL, [via] int NOT NULL, [stop] int NULL, [hops] bigint NULL, [ring] int NULL,
        PRIMARY KEY ([fork], [via]));
    CREATE TABLE #answer ([id] int NOT NULL PRIMARY KEY, [last] int NULL, [depth] bigint NULL,
        [status] varchar(16) COLLATE DATABASE_DEFAULT NOT NULL);
    CREATE TABLE #ring ([ring] int NOT NULL, [id] int NOT NULL, [simple] bit NOT NULL, [turn] int NOT NULL, PRIMARY KEY ([ring], [id]));
    CREATE TABLE #down ([ring] int NOT NULL PRIMARY KEY, [olds] bigint NOT NULL);
    CREATE TABLE #found (
        [number] int IDENTITY(1, 1) NOT NULL PRIMARY KEY,
        [rule] char(5) COLLATE DATABASE_DEFAULT NOT NULL,
        [key_one] int NULL,
        [key_two] int NULL,
        [guid] uniqueidentifier NULL,
        [reference] nvarchar(400) COLLATE DATABASE_DEFAULT NULL,
        [rows] bigint NULL,
        [detail] nvarchar(2000) COLLATE DATABASE_DEFAULT NOT NULL
    );
    CREATE TABLE #about ([number] int NOT NULL, [id] int NOT NULL, PRIMARY KEY ([number], [id]));

    -- All of the reading is here, and sees one moment where the database has row versions to show it.
    IF @@TRANCOUNT = 0
        IF EXISTS (SELECT 1 FROM sys.databases AS d WHERE d.[database_id] = DB_ID() AND d.[snapshot_isolation_state] = 1)
            SET TRANSACTION ISOLATION LEVEL SNAPSHOT;
        ELSE
            SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    BEGIN TRANSACTION;
    INSERT INTO #row ([row_id], [old_guid], [new_guid], [old_text], [new_text], [merged_at])
    SELECT m.[row_id], m.[old_guid], m.[new_guid],
        CASE WHEN m.[old_guid] IS NULL THEN m.[old_text] END, CASE WHEN m.[new_guid] IS NULL THEN m.[new_text] END, m.[merged_at]
    FROM [mergeguard].[merge_rows] AS m;
    INSERT INTO #live ([guid]) SELECT DISTINCT l.[guid] FROM [mergeguard].[live_guids] AS l WHERE l.[guid] IS NOT NULL;
    INSERT INTO #type ([guid], [type])
    SELECT DISTINCT t.[guid], LTRIM(RTRIM(t.[type])) COLLATE Latin1_General_BIN2 FROM [mergeguard].[guid_types] AS t
    WHERE t.[guid] IS NOT NULL AND LTRIM(RTRIM(t.[type])) <> N'';
    INSERT INTO #reference ([reference], [guid], [cells])
    SELECT g.[reference], g.[guid], COUNT_BIG(*) FROM [mergeguard].[reference_guids] AS g
    WHERE g.[guid] IS NOT NULL GROUP BY g.[reference], g.[guid];
    INSERT INTO #stored ([old_guid], [current_guid], [depth], [status])
    SELECT k.[old_guid], k.[current_guid], k.[depth], k.[status] FROM [mergeguard].[lookup_rows] AS k;
    COMMIT TRANSACTION;
    IF @@TRANCOUNT = 0
        SET TRANSACTION ISOLATION LEVEL READ COMMITTED;

    EXEC [mergeguard].[number_guids];
    EXEC [mergeguard].[close_walks] @live = 0;
    EXEC [mergeguard].[find_rings];
    EXEC [mergeguard].[scan_rows];
    EXEC [mergeguard].[close_walks] @live = 1;
    EXEC [mergeguard].[scan_walks];

    SELECT
        f.[rule],
        c.[name],
        c.[severity],
        g.[guid],
        COALESCE(LOWER(CONVERT(nvarchar(36), f.[guid])), STUFF((
            SELECT TOP (50) N' ' + LOWER(CONVERT(nvarchar(36), n.[guid]))
            FROM #about AS a JOIN #node AS n ON n.[id] = a.[id] WHERE a.[number] = f.[number] ORDER BY a.[id] FOR XML PATH(N'')
        ), 1, 1, N'')) AS [guids],
        f.[rows],
        f.[detail]
    FROM #found AS f
    JOIN [mergeguard].[rules_checked] AS c ON c.[rule] = f.[rule] AND c.[checked] = 1
    OUTER APPLY (
        SELECT COALESCE(f.[guid], (
            SELECT n.[guid] FROM #node AS n WHERE n.[id] = CASE
                WHEN f.[rule] IN ('MG001', 'MG012') THEN (SELECT MIN(a.[id]) FROM #about AS a WHERE a.[number] = f.[number])
                ELSE f.[key_one] END
        )) AS [guid]
    ) AS g
    ORDER BY f.[rule], LOWER(CONVERT(char(36), g.[guid])), f.[detail];
END;
GO
