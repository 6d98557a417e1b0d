-- MergeGuard SQL scripts, version 1: mssql/10_current_guid.sql
-- What one guid is now, walked in the tables: current_guid(@guid). It ends on any table, and needs no rights but its own.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[current_guid]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[current_guid] () RETURNS TABLE AS RETURN SELECT 1 AS [one]');
GO
IF OBJECT_ID(N'[mergeguard].[walk_of]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[walk_of] () RETURNS @way TABLE ([one] int) AS BEGIN RETURN; END');
GO

-- All guids on all walks from a guid, each with what it comes to itself. A live guid is never walked through.
-- [merged] says that a row merges it away, whether it is live or not.
ALTER FUNCTION [mergeguard].[walk_of] (@guid uniqueidentifier)
RETURNS @way TABLE (
    [guid] uniqueidentifier NOT NULL PRIMARY KEY,
    [level] int NOT NULL,
    [live] bit NOT NULL,
    [merged] bit NOT NULL,
    [first_end] uniqueidentifier NULL,
    [last_end] uniqueidentifier NULL,
    [current] uniqueidentifier NULL,
    [depth] int NULL,
    [status] varchar(16) NULL,
    UNIQUE ([level], [guid]),
    UNIQUE ([depth], [guid])
)
AS
BEGIN
    DECLARE @tombstone uniqueidentifier = '9203b1a9-5095-5898-a103-971f44c00fa4';
    DECLARE @declared bit, @found int, @level int = 0, @end uniqueidentifier, @last int;
    DECLARE @step TABLE (
        [old] uniqueidentifier NOT NULL,
        [new] uniqueidentifier NOT NULL,
        PRIMARY KEY ([old], [new]),
        UNIQUE ([new], [old])
    );
    IF @guid IS NULL
        RETURN;
    SELECT @declared = d.[live] FROM [mergeguard].[declared] AS d;

    -- Level by level; a guid that was met before is not walked again, so that circles end.
    INSERT INTO @way ([guid], [level], [live], [merged])
    SELECT @guid, 0,
        CASE WHEN EXISTS (SELECT 1 FROM [mergeguard].[live_guids] AS l WHERE l.[guid] = @guid) THEN 1 ELSE 0 END,
        CASE WHEN EXISTS (SELECT 1 FROM [mergeguard].[merge_rows] AS m WHERE m.[old_guid] = @guid AND m.[new_guid] IS NOT NULL)
            THEN 1 ELSE 0 END;
    SET @found = 1;
    WHILE @found > 0
    BEGIN
        INSERT INTO @step ([old], [new])
        SELECT DISTINCT m.[old_guid], m.[new_guid]
        FROM @way AS w JOIN [mergeguard].[merge_rows] AS m ON m.[old_guid] = w.[guid]
        WHERE w.[level] = @level AND w.[live] = 0 AND w.[merged] = 1 AND m.[new_guid] IS NOT NULL;
        SET @level = @level + 1;
        INSERT INTO @way ([guid], [level], [live], [merged])
        SELECT n.[new], @level,
            CASE WHEN EXISTS (SELECT 1 FROM [mergeguard].[live_guids] AS l WHERE l.[guid] = n.[new]) THEN 1 ELSE 0 END,
            CASE WHEN EXISTS (SELECT 1 FROM [mergeguard].[merge_rows] AS m WHERE m.[old_guid] = n.[new] AND m.[new_guid] IS NOT NULL)
                THEN 1 ELSE 0 END
        FROM (
            SELECT DISTINCT s.[new] FROM @way AS w JOIN @step AS s ON s.[old] = w.[guid] WHERE w.[level] = @level - 1
        ) AS n
        WHERE NOT EXISTS (SELECT 1 FROM @way AS seen WHERE seen.[guid] = n.[new]);
        SET @found = @@ROWCOUNT;
    END;

    IF NOT EXISTS (SELECT 1 FROM @step AS s GROUP BY s.[old] HAVING COUNT(*) > 1)
    BEGIN
        -- One walk: it ends at the guid that has no step, or comes back to one that it has met.
        SELECT @end = w.[guid], @last = w.[level]
        FROM @way AS w WHERE NOT EXISTS (SELECT 1 FROM @step AS s WHERE s.[old] = w.[guid]);
        UPDATE @way SET [first_end] = @end, [last_end] = @end, [depth] = @last - [level];
    END
    ELSE
    BEGIN
        -- Backwards from the ends: a guid is settled when all of its steps are. Those that never are lead in a circle.
        UPDATE w SET [first_end] = w.[guid], [last_end] = w.[guid], [depth] = 0
        FROM @way AS w WHERE NOT EXISTS (SELECT 1 FROM @step AS s WHERE s.[old] = w.[guid]);
        SELECT @found = @@ROWCOUNT, @last = 0;
        WHILE @found > 0
        BEGIN
            SET @last = @last + 1;
            UPDATE w SET [first_end] = e.[first_end], [last_end] = e.[last_end], [depth] = @last
            FROM @way AS n
            JOIN @step AS s ON s.[new] = n.[guid]
            JOIN @way AS w ON w.[guid] = s.[old]
            CROSS APPLY (
                SELECT MIN(a.[first_end]) AS [first_end], MAX(a.[last_end]) AS [last_end],
                    SUM(CASE WHEN a.[depth] IS NULL THEN 1 ELSE 0 END) AS [unsettled]
                FROM @step AS b JOIN @way AS a ON a.[guid] = b.[new] WHERE b.[old] = w.[guid]
            ) AS e
            WHERE n.[depth] = @last - 1 AND w.[depth] IS NULL AND e.[unsettled] = 0
            OPTION (FORCE ORDER);
            SET @found = @@ROWCOUNT;
        END;
    END;

    UPDATE w SET
        [current] = CASE WHEN w.[depth] IS NOT NULL AND w.[first_end] = w.[last_end] AND w.[first_end] <> @tombstone
            THEN w.[first_end] END,
        [status] = CASE
            WHEN w.[depth] IS NULL THEN 'cycle'
            WHEN w.[first_end] <> w.[last_end] THEN 'split'
            WHEN w.[first_end] = @tombstone THEN 'deleted'
            WHEN @declared = 1 AND e.[live] = 0 THEN 'dangling'
            ELSE 'ok' END,
        [depth] = CASE WHEN w.[first_end] = w.[last_end] AND w.[first_end] <> @tombstone THEN w.[depth] END
    FROM @way AS w LEFT JOIN @way AS e ON e.[guid] = w.[first_end];
    RETURN;
END;
GO

-- One row: [current] is NULL for a cycle, a split and what was deleted. A guid that no row merges away is its own current.
ALTER FUNCTION [mergeguard].[current_guid] (@guid uniqueidentifier)
RETURNS TABLE AS RETURN
SELECT w.[guid], w.[current], w.[depth], w.[status] FROM [mergeguard].[walk_of](@guid) AS w WHERE w.[guid] = @guid;
GO
