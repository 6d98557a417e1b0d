-- MergeGuard SQL scripts, version 1: mssql/40_lookup.sql
-- The lookup as the rows say it: rebuild_lookup writes what differs, in one transaction, with no merge beside it.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[merge_lock_name]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[merge_lock_name] () RETURNS int AS BEGIN RETURN 0; END');
GO
IF OBJECT_ID(N'[mergeguard].[take_merge_lock]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[take_merge_lock] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[write_lookup]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[write_lookup] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[rebuild_lookup]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[rebuild_lookup] AS RETURN');
GO

-- The merge lock's name. It must never change: programs and procedures exclude one another by it.
ALTER FUNCTION [mergeguard].[merge_lock_name] ()
RETURNS nvarchar(255)
AS
BEGIN
    RETURN (
        SELECT LEFT(CONCAT(N'mergeguard merges ', OBJECT_SCHEMA_NAME(OBJECT_ID(s.[base_object_name])), N'.',
            OBJECT_NAME(OBJECT_ID(s.[base_object_name]))), 255)
        FROM sys.synonyms AS s WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[merge_table]', N'SN')
    );
END;
GO

-- Takes the merge lock for the open transaction: Shared for a merge, Exclusive for what no merge may run beside.
ALTER PROCEDURE [mergeguard].[take_merge_lock] @mode nvarchar(32)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @turn int, @name nvarchar(255) = [mergeguard].[merge_lock_name]();
    EXEC @turn = sys.sp_getapplock @Resource = @name, @LockMode = @mode, @LockOwner = N'Transaction', @LockTimeout = 10000;
    IF @turn < 0
        THROW 51930, N'mergeguard: locked: a repair, a build of the lookup or a merge is under way; try again', 1;
END;
GO

-- Brings the stored lookup to what the rows say, in the open transaction, which holds the merge lock alone.
ALTER PROCEDURE [mergeguard].[write_lookup] @written int OUTPUT, @deleted int OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @held int;
    -- Where the view has to turn other types into guids, nothing can be written through it.
    IF (
        SELECT COUNT(*) FROM sys.sql_expression_dependencies AS d
        JOIN sys.columns AS c ON c.[object_id] = d.[referenced_id]
        WHERE d.[referencing_id] = OBJECT_ID(N'[mergeguard].[lookup_rows]', N'V') AND d.[referenced_minor_id] = 0
            AND TYPE_NAME(c.[system_type_id]) = N'uniqueidentifier'
    ) < 2
        THROW 51925, N'mergeguard: unsupported: the lookup stores guids in a form that procedures only read; ''mergeguard lookup build'' writes it', 1;
    CREATE TABLE #row (
        [row_id] nvarchar(200) COLLATE DATABASE_DEFAULT NULL,
        [old_guid] uniqueidentifier NULL,
        [new_guid] uniqueidentifier NULL,
        [merged_at] datetime2(7) NULL
    );
    CREATE TABLE #live ([guid] uniqueidentifier NOT NULL PRIMARY KEY);
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

    INSERT INTO #row ([row_id], [old_guid], [new_guid])
    SELECT NULL, m.[old_guid], m.[new_guid] FROM [mergeguard].[merge_rows] AS m
    WHERE m.[old_guid] IS NOT NULL AND m.[new_guid] IS NOT NULL;
    INSERT INTO #live ([guid]) SELECT DISTINCT l.[guid] FROM [mergeguard].[live_guids] AS l WHERE l.[guid] IS NOT NULL;
    EXEC [mergeguard].[number_guids];
    EXEC [mergeguard].[close_walks] @live = 1;

    -- The whole table is locked, so that a reader without row versions, too, sees the old lookup or the new one.
    SELECT TOP (1) @held = 1 FROM [mergeguard].[lookup_rows] WITH (TABLOCKX, HOLDLOCK);
    DELETE k FROM [mergeguard].[lookup_rows] AS k
    WHERE NOT EXISTS (SELECT 1 FROM #node AS n JOIN #answer AS a ON a.[id] = n.[id] WHERE n.[guid] = k.[old_guid])
        OR k.[old_guid] IN (SELECT d.[old_guid] FROM [mergeguard].[lookup_rows] AS d GROUP BY d.[old_guid] HAVING COUNT(*) > 1);
    SET @deleted = @@ROWCOUNT;
    UPDATE k SET [current_guid] = c.[guid], [depth] = a.[depth], [status] = a.[status]
    FROM [mergeguard].[lookup_rows] AS k
    JOIN #node AS n ON n.[guid] = k.[old_guid]
    JOIN #answer AS a ON a.[id] = n.[id]
    LEFT JOIN #node AS c ON c.[id] = a.[last]
    WHERE EXISTS (SELECT k.[current_guid], k.[depth], k.[status] COLLATE DATABASE_DEFAULT EXCEPT SELECT c.[guid], a.[depth], a.[status]);
    SET @written = @@ROWCOUNT;
    INSERT INTO [mergeguard].[lookup_rows] ([old_guid], [current_guid], [depth], [status])
    SELECT n.[guid], c.[guid], a.[depth], a.[status]
    FROM #answer AS a
    JOIN #node AS n ON n.[id] = a.[id]
    LEFT JOIN #node AS c ON c.[id] = a.[last]
    WHERE NOT EXISTS (SELECT 1 FROM [mergeguard].[lookup_rows] AS k WHERE k.[old_guid] = n.[guid]);
    SET @written = @written + @@ROWCOUNT;
END;
GO

-- Answers in one row: [rows] that the lookup holds now, [written] and [deleted]. Not for INSERT ... EXEC.
ALTER PROCEDURE [mergeguard].[rebuild_lookup]
WITH EXECUTE AS OWNER
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET LOCK_TIMEOUT 10000;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @written int, @deleted int, @rows int;
    BEGIN TRY
        BEGIN TRANSACTION;
        EXEC [mergeguard].[take_merge_lock] @mode = N'Exclusive';
        EXEC [mergeguard].[write_lookup] @written = @written OUTPUT, @deleted = @deleted OUTPUT;
        SELECT @rows = COUNT(*) FROM [mergeguard].[lookup_rows];
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF @@TRANCOUNT > 0
            ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
    SELECT @rows AS [rows], @written AS [written], @deleted AS [deleted];
END;
GO

-- A new lookup is filled at once: an empty one says of no merge what the rows say, and every merge would be refused.
-- One that holds guids in another form is left to MergeGuard's programs; procedures read it and refuse to merge.
IF NOT EXISTS (SELECT 1 FROM [mergeguard].[lookup_rows])
    AND EXISTS (SELECT 1 FROM [mergeguard].[merge_rows] AS m WHERE m.[old_guid] IS NOT NULL AND m.[new_guid] IS NOT NULL)
    AND (
        SELECT COUNT(*) FROM sys.sql_expression_dependencies AS d
        JOIN sys.columns AS c ON c.[object_id] = d.[referenced_id]
        WHERE d.[referencing_id] = OBJECT_ID(N'[mergeguard].[lookup_rows]', N'V') AND d.[referenced_minor_id] = 0
            AND TYPE_NAME(c.[system_type_id]) = N'uniqueidentifier'
    ) >= 2
    EXEC [mergeguard].[rebuild_lookup];
GO
