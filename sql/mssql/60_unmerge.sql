-- MergeGuard SQL scripts, version 1: mssql/60_unmerge.sql
-- The way back of one merge: unmerge_run puts its rows back as they were, if nothing has changed since.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[require_undoable]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[require_undoable] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[restore_row]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[restore_row] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[take_back]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[take_back] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[unmerge_run]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[unmerge_run] AS RETURN');
GO

-- Refuses a run that is no merge, was taken back or altered, or that changed tables that procedures do not know.
ALTER PROCEDURE [mergeguard].[require_undoable] @run_id nvarchar(4000)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @said nvarchar(2048), @kind nvarchar(64), @by nvarchar(32), @digest nvarchar(64);
    SELECT @kind = r.[kind] FROM [mergeguard].[journal_runs] AS r WHERE r.[run_id] = @run_id;
    IF @kind IS NULL OR @kind <> N'merge'
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: unknown-run: the journal knows no merge ', LEFT(@run_id, 64),
            N'; other runs are taken back by ''mergeguard undo'''), N'%', N'%%');
        THROW 51940, @said, 1;
    END;
    SELECT @by = s.[undone_by], @digest = s.[digest]
    FROM [mergeguard].[journal_steps] AS s WHERE s.[run_id] = @run_id AND s.[step] = 1;
    IF @by IS NOT NULL
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: undone: run ', @run_id, N' was taken back by run ', @by, N' before'), N'%', N'%%');
        THROW 51941, @said, 1;
    END;
    IF @digest IS NULL OR @digest <> [mergeguard].[step_digest](@run_id, 1)
        OR EXISTS (SELECT 1 FROM [mergeguard].[journal_steps] AS s WHERE s.[run_id] = @run_id AND s.[step] <> 1)
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: journal-damaged: run ', @run_id,
            N' was altered in the journal after it was written'), N'%', N'%%');
        THROW 51944, @said, 1;
    END;
    IF EXISTS (
        SELECT 1 FROM [mergeguard].[journal_changes] AS c
        WHERE c.[run_id] = @run_id
            AND NOT EXISTS (
                SELECT 1 FROM [mergeguard].[written_tables] AS t
                WHERE t.[table_name] = c.[table_name] AND c.[action] = CASE t.[part] WHEN N'merge' THEN N'merge' ELSE N'remove' END
            )
            AND NOT EXISTS (SELECT 1 FROM [mergeguard].[black_lists] AS b WHERE b.[table_name] = c.[table_name] AND c.[action] = N'black-list')
            AND (c.[action] IN (N'merge', N'remove', N'black-list')
                OR (NOT EXISTS (SELECT 1 FROM [mergeguard].[moved_tables] AS m WHERE m.[table_name] = c.[table_name])
                    AND NOT EXISTS (SELECT 1 FROM [mergeguard].[hash_table] AS h WHERE h.[table_name] = c.[table_name])))
    )
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: references: run ', @run_id,
            N' changed tables that 00_names.sql does not name; this takes ''mergeguard undo'''), N'%', N'%%');
        THROW 51924, @said, 1;
    END;
END;
GO

-- Puts one row of a reference back as it was: changed, or in its place again where it was deleted.
ALTER PROCEDURE [mergeguard].[restore_row] @table_name nvarchar(600), @before nvarchar(max), @after nvarchar(max)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @full nvarchar(600), @table int, @table_no int, @guid_name sysname, @guid uniqueidentifier, @back uniqueidentifier;
    DECLARE @sets nvarchar(max) = N'', @at int = 0, @name sysname, @quoted nvarchar(300), @value nvarchar(max), @differs bit, @found int = 1;
    DECLARE @sql nvarchar(max), @rows int, @written int;
    DECLARE @old TABLE (
        [name] nvarchar(128) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY,
        [value] nvarchar(max) COLLATE Latin1_General_BIN2 NULL
    );
    DECLARE @now TABLE (
        [name] nvarchar(128) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY,
        [value] nvarchar(max) COLLATE Latin1_General_BIN2 NULL
    );
    INSERT INTO @old ([name], [value]) SELECT j.[name], j.[value] FROM [mergeguard].[json_cells](@before) AS j;
    INSERT INTO @now ([name], [value]) SELECT j.[name], j.[value] FROM [mergeguard].[json_cells](COALESCE(@after, @before)) AS j;
    SELECT @full = m.[full_name], @table_no = m.[table_no] FROM [mergeguard].[moved_tables] AS m WHERE m.[table_name] = @table_name;
    SELECT TOP (1) @guid_name = m.[column_name] FROM [mergeguard].[moved_columns] AS m
    JOIN @now AS n ON n.[name] = m.[column_name] COLLATE Latin1_General_BIN2
    WHERE m.[table_no] = @table_no AND m.[moves] = 1 AND n.[value] IS NOT NULL ORDER BY m.[column_name];
    IF @full IS NULL
        SELECT @full = h.[full_name], @guid_name = h.[guid_name] FROM [mergeguard].[hash_table] AS h WHERE h.[table_name] = @table_name;
    SET @table = OBJECT_ID(@full, N'U');
    SELECT @guid = TRY_CONVERT(uniqueidentifier, n.[value]) FROM @now AS n WHERE n.[name] = @guid_name COLLATE Latin1_General_BIN2;
    SELECT @back = TRY_CONVERT(uniqueidentifier, o.[value]) FROM @old AS o WHERE o.[name] = @guid_name COLLATE Latin1_General_BIN2;
    IF @after IS NULL
    BEGIN
        EXEC [mergeguard].[put_back] @table = @table, @rows_name = @full, @guid_name = @guid_name, @guid = @back, @image = @before;
        RETURN;
    END;
    WHILE @found = 1
    BEGIN
        SELECT TOP (1) @at = c.[column_id], @name = c.[name], @quoted = c.[quoted], @value = c.[value],
            @differs = CASE WHEN EXISTS (SELECT o.[value] EXCEPT SELECT n.[value]) THEN 1 ELSE 0 END
        FROM [mergeguard].[image_columns](@table) AS c
        LEFT JOIN @old AS o ON o.[name] = c.[name] COLLATE Latin1_General_BIN2
        LEFT JOIN @now AS n ON n.[name] = c.[name] COLLATE Latin1_General_BIN2
        WHERE c.[column_id] > @at ORDER BY c.[column_id];
        SET @found = @@ROWCOUNT;
        IF @found = 1 AND @differs = 1
            SET @sets = @sets + CASE @sets WHEN N'' THEN N'' ELSE N', ' END + @quoted + N' = (SELECT ' + @value
                + N' FROM @cells AS c WHERE c.[name] = N''' + REPLACE(@name, N'''', N'''''') + N''')';
    END;
    -- A row that only had to stay must be there still.
    SET @sql = N'DECLARE @cells TABLE ([name] nvarchar(128) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY, '
        + N'[value] nvarchar(max) COLLATE Latin1_General_BIN2 NULL);
INSERT INTO @cells ([name], [value]) SELECT j.[name], j.[value] FROM [mergeguard].[json_cells](@before) AS j;
' + CASE @sets WHEN N'' THEN N'SET @rows = 1;' ELSE N'UPDATE TOP (1) t SET ' + @sets + N' FROM ' + @full + N' AS t WHERE t.'
        + QUOTENAME(@guid_name) + N' = @guid AND ' + [mergeguard].[image_expression](@table)
        + N' COLLATE Latin1_General_BIN2 = @after; SET @rows = @@ROWCOUNT;' END + N'
SELECT @written = COUNT(*) FROM ' + @full + N' AS t WHERE t.' + QUOTENAME(@guid_name) + N' = @back AND '
        + [mergeguard].[image_expression](@table) + N' COLLATE Latin1_General_BIN2 = @before;';
    EXEC sys.sp_executesql @sql, N'@guid uniqueidentifier, @back uniqueidentifier, @before nvarchar(max), @after nvarchar(max), @rows int OUTPUT, @written int OUTPUT',
        @guid = @guid, @back = @back, @before = @before, @after = @after, @rows = @rows OUTPUT, @written = @written OUTPUT;
    IF COALESCE(@rows, 0) <> 1 OR COALESCE(@written, 0) < 1
        THROW 51942, N'mergeguard: stale: a row of a reference is not as the run left it; nothing was taken back', 1;
END;
GO

-- Reverses the changes of a run, the last one first, in the open transaction, which holds the merge lock alone.
ALTER PROCEDURE [mergeguard].[take_back] @run_id nvarchar(32)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @place int = 2147483647, @found int = 1, @before nvarchar(max), @after nvarchar(max), @part nvarchar(16), @rows int, @all int;
    DECLARE @table_name nvarchar(600), @action nvarchar(64);
    DECLARE @rows_name nvarchar(600), @guid_name sysname, @table int, @guid uniqueidentifier, @sql nvarchar(max), @expression nvarchar(max);
    WHILE 1 = 1
    BEGIN
        SELECT TOP (1) @place = c.[place], @before = c.[before_image], @after = c.[after_image], @table_name = c.[table_name],
            @action = c.[action], @part = t.[part], @rows_name = t.[rows_name], @guid_name = t.[guid_name]
        FROM [mergeguard].[journal_changes] AS c
        LEFT JOIN [mergeguard].[written_tables] AS t ON t.[table_name] = c.[table_name]
            AND c.[action] = CASE t.[part] WHEN N'merge' THEN N'merge' ELSE N'remove' END
        WHERE c.[run_id] = @run_id AND c.[step] = 1 AND c.[place] < @place ORDER BY c.[place] DESC;
        IF @@ROWCOUNT = 0
            BREAK;
        IF @action = N'black-list'
        BEGIN
            SELECT @rows_name = b.[full_name] FROM [mergeguard].[black_lists] AS b WHERE b.[table_name] = @table_name;
            SET @sql = N'DELETE t FROM ' + @rows_name + N' AS t WHERE ' + [mergeguard].[image_expression](OBJECT_ID(@rows_name, N'U'))
                + N' COLLATE Latin1_General_BIN2 = @after; SET @rows = @@ROWCOUNT;';
            EXEC sys.sp_executesql @sql, N'@after nvarchar(max), @rows int OUTPUT', @after = @after, @rows = @rows OUTPUT;
            IF COALESCE(@rows, 0) <> 1
                THROW 51942, N'mergeguard: stale: the agent on the black list is not as the run left it; nothing was taken back', 1;
            CONTINUE;
        END;
        IF @part IS NULL
        BEGIN
            EXEC [mergeguard].[restore_row] @table_name = @table_name, @before = @before, @after = @after;
            CONTINUE;
        END;
        SELECT @table = OBJECT_ID(s.[base_object_name]) FROM sys.synonyms AS s
        WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[' + @part + N'_table]', N'SN');
        SET @guid = NULL;
        SELECT @guid = TRY_CONVERT(uniqueidentifier, j.[value])
        FROM [mergeguard].[json_cells](COALESCE(@after, @before)) AS j WHERE j.[name] = @guid_name COLLATE Latin1_General_BIN2;
        SET @expression = [mergeguard].[image_expression](@table);
        -- @all: the rows of that guid; @rows: those that are as the run left them.
        SET @sql = N'SELECT @all = COUNT(*), @rows = COALESCE(SUM(CASE WHEN t.[image] = @after THEN 1 ELSE 0 END), 0) FROM ('
            + N'SELECT ' + @expression + N' COLLATE Latin1_General_BIN2 AS [image] FROM ' + @rows_name + N' AS t WHERE t.'
            + QUOTENAME(@guid_name) + N' = @guid) AS t;';
        EXEC sys.sp_executesql @sql, N'@guid uniqueidentifier, @after nvarchar(max), @all int OUTPUT, @rows int OUTPUT',
            @guid = @guid, @after = @after, @all = @all OUTPUT, @rows = @rows OUTPUT;
        IF @part = N'merge' AND (@guid IS NULL OR COALESCE(@all, 0) <> 1 OR @rows <> 1)
            THROW 51942, N'mergeguard: stale: the row of the merge is not as the run left it; nothing was taken back', 1;
        IF @part = N'merge'
        BEGIN
            SET @sql = N'DELETE t FROM ' + @rows_name + N' AS t WHERE t.' + QUOTENAME(@guid_name) + N' = @guid AND '
                + @expression + N' COLLATE Latin1_General_BIN2 = @after; SET @rows = @@ROWCOUNT;';
            EXEC sys.sp_executesql @sql, N'@guid uniqueidentifier, @after nvarchar(max), @rows int OUTPUT',
                @guid = @guid, @after = @after, @rows = @rows OUTPUT;
            IF @rows <> 1
                THROW 51943, N'mergeguard: write: the row of the merge could not be deleted; look for triggers on the table', 1;
        END;
        ELSE
            EXEC [mergeguard].[put_back] @table = @table, @rows_name = @rows_name, @guid_name = @guid_name, @guid = @guid, @image = @before;
    END;
END;
GO

-- Takes back the merge of a run, with the references that it moved, and answers in one row. Not for INSERT ... EXEC.
-- @run_id may have its hyphens.
ALTER PROCEDURE [mergeguard].[unmerge_run] @run_id nvarchar(4000), @reason nvarchar(max) = N''
WITH EXECUTE AS OWNER
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET ANSI_PADDING ON;
    SET ANSI_WARNINGS ON;
    SET CONCAT_NULL_YIELDS_NULL ON;
    SET NUMERIC_ROUNDABORT OFF;
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET LOCK_TIMEOUT 10000;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @undo nvarchar(32) = LOWER(REPLACE(CONVERT(nvarchar(36), NEWID()), N'-', N'')), @written int, @deleted int, @held int;
    SET @run_id = LOWER(LTRIM(RTRIM(REPLACE(@run_id, N'-', N''))));
    BEGIN TRY
        BEGIN TRANSACTION;
        EXEC [mergeguard].[take_merge_lock] @mode = N'Exclusive';
        -- Programs that do not know the merge lock are kept from the table, too; readers go on.
        SELECT TOP (1) @held = 1 FROM [mergeguard].[merge_table] WITH (TABLOCK, HOLDLOCK);
        EXEC [mergeguard].[require_undoable] @run_id = @run_id;
        INSERT INTO [mergeguard].[journal_runs] ([run_id], [kind], [who], [tool_version], [started], [reason], [finished], [undoes])
        VALUES (@undo, N'undo', CONCAT(ORIGINAL_LOGIN(), N'@' + HOST_NAME()), N'SQL scripts 1', SYSUTCDATETIME(),
            COALESCE(@reason, N''), SYSUTCDATETIME(), @run_id);
        UPDATE s SET [undone_by] = @undo
        FROM [mergeguard].[journal_steps] AS s WHERE s.[run_id] = @run_id AND s.[step] = 1 AND s.[undone_by] IS NULL;
        EXEC [mergeguard].[take_back] @run_id = @run_id;
        EXEC [mergeguard].[write_lookup] @written = @written OUTPUT, @deleted = @deleted OUTPUT;
        COMMIT TRANSACTION;
    END TRY
    BEGIN CATCH
        IF @@TRANCOUNT > 0
            ROLLBACK TRANSACTION;
        THROW;
    END CATCH;
    SELECT @undo AS [run_id], @run_id AS [undoes], @written + @deleted AS [lookup_rows];
END;
GO
