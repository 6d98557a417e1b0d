-- MergeGuard SQL scripts, version 1: mssql/50_merge.sql
-- Merging that cannot make a circle: merge_guids locks both roots, reads again behind the locks, and writes both.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[guid_text]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[guid_text] () RETURNS int AS BEGIN RETURN 0; END');
GO
IF OBJECT_ID(N'[mergeguard].[require_fit]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[require_fit] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[write_root]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[write_root] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[require_roots]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[require_roots] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[require_allowed]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[require_allowed] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[write_black_list]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[write_black_list] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[write_merge]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[write_merge] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[merge_guids]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[merge_guids] AS RETURN');
GO

-- The text in whose order guids are locked; SQL Server itself sorts uniqueidentifier otherwise.
ALTER FUNCTION [mergeguard].[guid_text] (@guid uniqueidentifier)
RETURNS varchar(36)
AS
BEGIN
    RETURN LOWER(CONVERT(varchar(36), @guid));
END;
GO

-- Refuses tables in which nothing can be merged here, or could not be taken back.
ALTER PROCEDURE [mergeguard].[require_fit]
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @merge int, @live int, @said nvarchar(2048), @column sysname;
    SELECT @merge = OBJECT_ID(s.[base_object_name]) FROM sys.synonyms AS s
    WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[merge_table]', N'SN');
    SELECT @live = OBJECT_ID(s.[base_object_name]) FROM sys.synonyms AS s
    WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[live_table]', N'SN')
        AND EXISTS (SELECT 1 FROM [mergeguard].[written_tables] AS w WHERE w.[part] = N'live');
    IF EXISTS (
        SELECT 1 FROM [mergeguard].[declared] AS d WHERE d.[guarded] = 1 AND NOT EXISTS (
            SELECT 1 FROM sys.triggers AS g
            WHERE g.[object_id] = OBJECT_ID(d.[guard_trigger], N'TR') AND g.[parent_id] = @merge AND g.[is_disabled] = 0
        )
    )
        THROW 51923, N'mergeguard: no-guard: the profile wants the merge table guarded, and its guard is missing or disabled; ''mergeguard guard install'' or 80_guard.sql puts it up', 1;
    -- A unique key without NULLs names a row.
    SELECT TOP (1) @said = t.[table_name]
    FROM [mergeguard].[written_tables] AS t
    WHERE NOT EXISTS (
        SELECT 1 FROM sys.indexes AS i
        WHERE i.[object_id] = CASE t.[part] WHEN N'merge' THEN @merge ELSE @live END
            AND i.[is_unique] = 1 AND i.[is_disabled] = 0 AND i.[has_filter] = 0
            AND NOT EXISTS (
                SELECT 1 FROM sys.index_columns AS k
                JOIN sys.columns AS c ON c.[object_id] = k.[object_id] AND c.[column_id] = k.[column_id]
                WHERE k.[object_id] = i.[object_id] AND k.[index_id] = i.[index_id] AND k.[is_included_column] = 0
                    AND (c.[is_nullable] = 1 OR c.[is_computed] = 1)
            )
    );
    IF @said IS NOT NULL
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: no-key: ', @said,
            N' has no primary key, so its rows cannot be told apart and no merge could be taken back; give it one'), N'%', N'%%');
        THROW 51922, @said, 1;
    END;
    SELECT TOP (1) @column = c.[name]
    FROM [mergeguard].[written_tables] AS t
    JOIN sys.columns AS c ON c.[object_id] = CASE t.[part] WHEN N'merge' THEN @merge ELSE @live END
        AND c.[name] COLLATE DATABASE_DEFAULT IN (t.[guid_name], t.[new_name])
    WHERE TYPE_NAME(c.[system_type_id]) <> N'uniqueidentifier';
    -- Where a view has to turn other types into guids, nothing can be written through it.
    IF @column IS NULL
        SELECT TOP (1) @column = v.[name]
        FROM (VALUES (N'[mergeguard].[lookup_rows]', 2), (N'[mergeguard].[roots]', 1)) AS v ([name], [guids])
        WHERE v.[guids] > (
            SELECT COUNT(*) FROM sys.sql_expression_dependencies AS d
            JOIN sys.columns AS c ON c.[object_id] = d.[referenced_id]
            WHERE d.[referencing_id] = OBJECT_ID(v.[name], N'V') AND d.[referenced_minor_id] = 0
                AND TYPE_NAME(c.[system_type_id]) = N'uniqueidentifier'
        );
    IF @column IS NOT NULL OR [mergeguard].[image_expression](@merge) IS NULL
        OR (@live IS NOT NULL AND [mergeguard].[image_expression](@live) IS NULL)
    BEGIN
        SET @said = CONCAT(N'mergeguard: unsupported: procedures merge in columns of the type uniqueidentifier, and in tables whose rows ',
            N'can be written down exactly; ''mergeguard merge'' may do it');
        THROW 51925, @said, 1;
    END;
END;
GO

-- Locks and writes the row of one root: who merges it too waits here.
ALTER PROCEDURE [mergeguard].[write_root] @root uniqueidentifier
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    -- Sent by itself: where the view cannot be written, this procedure could not even be made.
    DECLARE @sql nvarchar(max) = N'INSERT INTO [mergeguard].[roots] ([guid], [turn]) VALUES (@root, 1);';
    UPDATE r SET [turn] = r.[turn] + 1
    FROM [mergeguard].[roots] AS r WITH (UPDLOCK, HOLDLOCK, ROWLOCK) WHERE r.[guid] = @root;
    IF @@ROWCOUNT = 0
        EXEC sys.sp_executesql @sql, N'@root uniqueidentifier', @root = @root;
END;
GO

-- Refuses what has no two roots, or none that may be merged.
ALTER PROCEDURE [mergeguard].[require_roots]
    @old uniqueidentifier,
    @new uniqueidentifier,
    @old_root uniqueidentifier,
    @old_status varchar(16),
    @new_root uniqueidentifier,
    @new_status varchar(16)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @said nvarchar(2048), @bad uniqueidentifier;
    DECLARE @old_text nvarchar(36) = [mergeguard].[guid_text](@old), @new_text nvarchar(36) = [mergeguard].[guid_text](@new);
    IF @old IS NULL OR @new IS NULL
        THROW 51913, N'mergeguard: unknown-guid: a merge takes two guids, and one of them is NULL', 1;
    IF @old = @new
    BEGIN
        SET @said = CONCAT(N'mergeguard: self-merge: ', @old_text, N' cannot be merged with itself');
        THROW 51911, @said, 1;
    END;
    IF @old_status = 'cycle' OR (@new_status = 'cycle' AND @old_status <> 'split')
    BEGIN
        SET @said = CONCAT(N'mergeguard: in-cycle: the merges of ', CASE @old_status WHEN 'cycle' THEN @old_text ELSE @new_text END,
            N' lead in a circle');
        THROW 51916, @said, 1;
    END;
    IF 'split' IN (@old_status, @new_status)
    BEGIN
        SET @said = CONCAT(N'mergeguard: split: the merges of ', CASE @old_status WHEN 'split' THEN @old_text ELSE @new_text END,
            N' lead to two guids at once');
        THROW 51917, @said, 1;
    END;
    IF @old_root = @new_root AND @old = @old_root
    BEGIN
        SET @said = CONCAT(N'mergeguard: cycle: ', @new_text, N' was merged into ', @old_text, N' before: merging ', @old_text,
            N' into it would close a circle');
        THROW 51912, @said, 1;
    END;
    IF @new_status <> 'ok'
    BEGIN
        SET @said = CONCAT(N'mergeguard: dead-target: ', COALESCE([mergeguard].[guid_text](NULLIF(@new_root, @new)) + N', which ', N''),
            @new_text, CASE WHEN @new_root <> @new THEN N' is now,' ELSE N'' END,
            CASE @new_status WHEN 'deleted' THEN N' was deleted' ELSE N' is not live' END, N', so nothing can be merged into it');
        THROW 51914, @said, 1;
    END;
    IF @old_status <> 'ok'
    BEGIN
        SET @said = CONCAT(N'mergeguard: unknown-guid: ', COALESCE([mergeguard].[guid_text](NULLIF(@old_root, @old)) + N', which ', N''),
            @old_text, CASE WHEN @old_root <> @old THEN N' is now,' ELSE N'' END,
            CASE @old_status WHEN 'deleted' THEN N' was deleted' ELSE N' is no resource that is live' END,
            N', so there is nothing to merge');
        THROW 51913, @said, 1;
    END;
    SELECT TOP (1) @bad = m.[old_guid] FROM [mergeguard].[merge_rows] AS m WHERE m.[old_guid] IN (@old_root, @new_root);
    IF @bad IS NOT NULL
    BEGIN
        SET @said = CONCAT(N'mergeguard: shadowed-live: ', [mergeguard].[guid_text](@bad),
            N' is live and a row merges it away as well: that merge was never finished');
        THROW 51918, @said, 1;
    END;
END;
GO

-- Refuses what people, types, references or a lookup that has drifted forbid.
ALTER PROCEDURE [mergeguard].[require_allowed]
    @old uniqueidentifier,
    @new uniqueidentifier,
    @old_root uniqueidentifier,
    @new_root uniqueidentifier
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @said nvarchar(2048), @why nvarchar(400), @wrong uniqueidentifier, @held nvarchar(400), @merge int, @indexed bit = 0;
    DECLARE @one nvarchar(400), @other nvarchar(400);
    DECLARE @way TABLE (
        [guid] uniqueidentifier NOT NULL PRIMARY KEY,
        [merged] bit NOT NULL,
        [current] uniqueidentifier NULL,
        [depth] int NULL,
        [status] varchar(16) NOT NULL
    );
    -- Types are compared as texts, and as guids where they are some.
    IF NOT EXISTS (
        SELECT 1 FROM [mergeguard].[guid_types] AS a JOIN [mergeguard].[guid_types] AS b
            ON LTRIM(RTRIM(a.[type])) COLLATE Latin1_General_BIN2 = LTRIM(RTRIM(b.[type])) COLLATE Latin1_General_BIN2
            OR TRY_CONVERT(uniqueidentifier, LTRIM(RTRIM(a.[type]))) = TRY_CONVERT(uniqueidentifier, LTRIM(RTRIM(b.[type])))
        WHERE a.[guid] = @old_root AND b.[guid] = @new_root
    )
    BEGIN
        SELECT @one = MIN(LTRIM(RTRIM(t.[type]))) FROM [mergeguard].[guid_types] AS t
        WHERE t.[guid] = @old_root AND LTRIM(RTRIM(t.[type])) <> N'';
        SELECT @other = MIN(LTRIM(RTRIM(t.[type]))) FROM [mergeguard].[guid_types] AS t
        WHERE t.[guid] = @new_root AND LTRIM(RTRIM(t.[type])) <> N'';
        IF @one IS NOT NULL AND @other IS NOT NULL
        BEGIN
            SET @said = REPLACE(CONCAT(N'mergeguard: type-mismatch: ', [mergeguard].[guid_text](@old), N' is of the type ', @one, N' and ',
                [mergeguard].[guid_text](@new), N' of the type ', @other), N'%', N'%%');
            THROW 51915, @said, 1;
        END;
    END;

    -- A pair stands for what its guids have become.
    SELECT TOP (1) @why = LEFT(COALESCE(NULLIF(n.[why], N''), NULLIF(n.[who], N''), N'no reason is written down'), 400)
    FROM [mergeguard].[never_pairs] AS n
    LEFT JOIN [mergeguard].[lookup_rows] AS a ON a.[old_guid] = n.[one_guid]
    LEFT JOIN [mergeguard].[lookup_rows] AS b ON b.[old_guid] = n.[other_guid]
    WHERE (COALESCE(a.[current_guid], n.[one_guid]) = @old_root AND COALESCE(b.[current_guid], n.[other_guid]) = @new_root)
        OR (COALESCE(a.[current_guid], n.[one_guid]) = @new_root AND COALESCE(b.[current_guid], n.[other_guid]) = @old_root);
    IF @why IS NOT NULL
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: never-merge: ', [mergeguard].[guid_text](@old), N' and ', [mergeguard].[guid_text](@new),
            N' must never be merged: ', @why), N'%', N'%%');
        THROW 51919, @said, 1;
    END;

    -- The lookup must say of all guids on both walks, and of those that lead to the old root, what the rows say:
    -- moving its class would make a wrong one worse.
    INSERT INTO @way ([guid], [merged], [current], [depth], [status])
    SELECT w.[guid], w.[merged], w.[current], w.[depth], w.[status] FROM [mergeguard].[walk_of](@old) AS w;
    INSERT INTO @way ([guid], [merged], [current], [depth], [status])
    SELECT w.[guid], w.[merged], w.[current], w.[depth], w.[status] FROM [mergeguard].[walk_of](@new) AS w
    WHERE NOT EXISTS (SELECT 1 FROM @way AS seen WHERE seen.[guid] = w.[guid]);
    SELECT TOP (1) @wrong = w.[guid]
    FROM @way AS w LEFT JOIN [mergeguard].[lookup_rows] AS k ON k.[old_guid] = w.[guid]
    WHERE (w.[merged] = 0 AND k.[old_guid] IS NOT NULL)
        OR (w.[merged] = 1 AND (k.[old_guid] IS NULL
            OR EXISTS (SELECT w.[current], w.[depth], w.[status] EXCEPT
                SELECT k.[current_guid], k.[depth], k.[status] COLLATE DATABASE_DEFAULT)));
    SELECT @merge = OBJECT_ID(s.[base_object_name]) FROM sys.synonyms AS s
    WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[merge_table]', N'SN');
    IF EXISTS (
        SELECT 1 FROM sys.indexes AS i
        JOIN sys.index_columns AS k ON k.[object_id] = i.[object_id] AND k.[index_id] = i.[index_id]
        JOIN [mergeguard].[written_tables] AS t ON t.[part] = N'merge' AND t.[new_name] = COL_NAME(k.[object_id], k.[column_id]) COLLATE DATABASE_DEFAULT
        WHERE i.[object_id] = @merge AND i.[is_disabled] = 0 AND i.[has_filter] = 0 AND k.[key_ordinal] = 1
    )
        SET @indexed = 1;
    IF @wrong IS NULL AND @indexed = 1
        SELECT TOP (1) @wrong = b.[old_guid]
        FROM (
            SELECT TOP (64) m.[old_guid] FROM [mergeguard].[merge_rows] AS m
            WHERE m.[new_guid] = @old_root AND m.[old_guid] <> @old_root
        ) AS b
        LEFT JOIN [mergeguard].[lookup_rows] AS k ON k.[old_guid] = b.[old_guid]
        WHERE k.[old_guid] IS NULL
            OR NOT (k.[status] <> 'ok' OR k.[current_guid] = @old_root OR k.[current_guid] = b.[old_guid]);
    IF @wrong IS NOT NULL
    BEGIN
        SET @said = CONCAT(N'mergeguard: lookup-drift: the stored lookup does not say of ', [mergeguard].[guid_text](@wrong),
            N' what the merges say; EXEC [mergeguard].[rebuild_lookup] brings it after them');
        THROW 51920, @said, 1;
    END;

    -- What stands in a form that these procedures cannot read is for MergeGuard's programs to move.
    SELECT TOP (1) @held = LEFT(g.[reference], 400) FROM [mergeguard].[moving_guids] AS g WHERE g.[guid] = @old_root;
    IF @held IS NOT NULL
    BEGIN
        SET @said = REPLACE(CONCAT(N'mergeguard: references: rows of ', @held, N' hold ', [mergeguard].[guid_text](@old_root),
            N' and would have to be re-pointed; this takes ''mergeguard merge'''), N'%', N'%%');
        THROW 51924, @said, 1;
    END;
END;
GO

-- Puts an agent that is merged away on the black list, for it must take another guid, and into the journal at @place. @place
-- grows where there was something to do: there is such a table, it does not hold the guid, and an agent manages it.
ALTER PROCEDURE [mergeguard].[write_black_list]
    @old_root uniqueidentifier,
    @new_root uniqueidentifier,
    @run_id nvarchar(32),
    @place int OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @name nvarchar(600), @full nvarchar(600), @holds nvarchar(max), @inserted nvarchar(max), @managed nvarchar(600), @managed_holds nvarchar(max);
    DECLARE @sql nvarchar(max), @expression nvarchar(max), @held int, @wanted int = 1, @image nvarchar(max);
    SELECT @name = b.[table_name], @full = b.[full_name], @holds = b.[holds], @inserted = b.[inserted], @managed = b.[managed_name],
        @managed_holds = b.[managed_holds]
    FROM [mergeguard].[black_lists] AS b;
    IF @full IS NULL
        RETURN;
    SET @sql = N'SELECT @held = COUNT(*) FROM ' + @full + N' AS t WITH (UPDLOCK) WHERE ' + @holds + N';';
    EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @held int OUTPUT', @old_root = @old_root, @held = @held OUTPUT;
    IF @managed IS NOT NULL
    BEGIN
        SET @sql = N'SELECT @wanted = COUNT(*) FROM ' + @managed + N' AS t WHERE ' + @managed_holds + N';';
        EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @wanted int OUTPUT', @old_root = @old_root, @wanted = @wanted OUTPUT;
    END;
    IF @held > 0 OR @wanted = 0
        RETURN;
    SET @expression = [mergeguard].[image_expression](OBJECT_ID(@full, N'U'));
    IF @expression IS NULL
        THROW 51925, N'mergeguard: unsupported: the black list has rows that cannot be written down exactly; ''mergeguard merge'' may do it', 1;
    SET @sql = N'INSERT INTO ' + @full + N' ' + @inserted + N';';
    EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @new_root uniqueidentifier', @old_root = @old_root, @new_root = @new_root;
    SET @sql = N'SELECT @image = ' + @expression + N' FROM ' + @full + N' AS t WHERE ' + @holds + N'; SET @held = @@ROWCOUNT;';
    EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @image nvarchar(max) OUTPUT, @held int OUTPUT',
        @old_root = @old_root, @image = @image OUTPUT, @held = @held OUTPUT;
    IF COALESCE(@held, 0) <> 1 OR @image IS NULL
        THROW 51943, N'mergeguard: write: the agent that was put on the black list is not there; look for triggers on its table', 1;
    SET @place = @place + 1;
    INSERT INTO [mergeguard].[journal_changes] ([run_id], [step], [place], [action], [table_name], [before_image], [after_image])
    VALUES (@run_id, 1, @place, N'black-list', @name, NULL, @image);
END;
GO

-- Writes what was decided, in the open transaction: the row, the live rows, the lookup, the journal, the answer.
ALTER PROCEDURE [mergeguard].[write_merge]
    @old uniqueidentifier,
    @new uniqueidentifier,
    @old_root uniqueidentifier,
    @new_root uniqueidentifier,
    @request_id nvarchar(64),
    @merge_key nvarchar(4000),
    @run_id nvarchar(32) OUTPUT,
    @lookup_rows int OUTPUT,
    @live_rows int OUTPUT,
    @row nvarchar(max) OUTPUT,
    @columns nvarchar(max) OUTPUT,
    @moved int OUTPUT,
    @cleared int OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @merge int, @live int, @merge_name nvarchar(600), @live_name nvarchar(600), @old_name sysname, @new_name sysname;
    DECLARE @live_guid_name sysname, @sql nvarchar(max), @image nvarchar(max), @rows int, @told int;
    DECLARE @evidence nvarchar(max), @place int;
    DECLARE @old_text nvarchar(36) = [mergeguard].[guid_text](@old_root), @new_text nvarchar(36) = [mergeguard].[guid_text](@new_root);
    SELECT @run_id = LOWER(REPLACE(CONVERT(nvarchar(36), NEWID()), N'-', N'')), @live_rows = 0, @lookup_rows = 0;
    SELECT @merge = OBJECT_ID(s.[base_object_name]) FROM sys.synonyms AS s
    WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[merge_table]', N'SN');
    SELECT @live = OBJECT_ID(s.[base_object_name]) FROM sys.synonyms AS s
    WHERE s.[object_id] = OBJECT_ID(N'[mergeguard].[live_table]', N'SN');
    SELECT @merge_name = t.[table_name], @old_name = t.[guid_name], @new_name = t.[new_name]
    FROM [mergeguard].[written_tables] AS t WHERE t.[part] = N'merge';
    SELECT @live_name = t.[table_name], @live_guid_name = t.[guid_name]
    FROM [mergeguard].[written_tables] AS t WHERE t.[part] = N'live';

    -- The row, and what the database has made of it: a trigger may have its own mind.
    EXEC [mergeguard].[put_merge] @old_root = @old_root, @new_root = @new_root, @merge_key = @merge_key;
    SET @sql = N'SELECT @row = ' + [mergeguard].[image_expression](@merge)
        + N', @told = CASE WHEN t.' + QUOTENAME(@new_name) + N' = @new_root THEN 1 ELSE 0 END FROM [mergeguard].[merge_table] AS t WHERE t.'
        + QUOTENAME(@old_name) + N' = @old_root; SET @rows = @@ROWCOUNT;';
    EXEC sys.sp_executesql @sql,
        N'@old_root uniqueidentifier, @new_root uniqueidentifier, @row nvarchar(max) OUTPUT, @told int OUTPUT, @rows int OUTPUT',
        @old_root = @old_root, @new_root = @new_root, @row = @row OUTPUT, @told = @told OUTPUT, @rows = @rows OUTPUT;
    IF @rows <> 1 OR COALESCE(@told, 0) <> 1
        THROW 51943, N'mergeguard: write: the database stored something else than the merge; look for triggers on the table', 1;
    INSERT INTO [mergeguard].[journal_changes] ([run_id], [step], [place], [action], [table_name], [before_image], [after_image])
    VALUES (@run_id, 1, 0, N'merge', @merge_name, NULL, @row);

    -- What refers to the old root, before the row that it refers to is gone.
    EXEC [mergeguard].[move_references] @old_root = @old_root, @new_root = @new_root, @run_id = @run_id, @preview = 0,
        @columns = @columns OUTPUT, @evidence = @evidence OUTPUT, @moved = @moved OUTPUT, @cleared = @cleared OUTPUT;
    SELECT @place = MAX(c.[place]) FROM [mergeguard].[journal_changes] AS c WHERE c.[run_id] = @run_id AND c.[step] = 1;

    -- While its row still says whether an agent manages it.
    EXEC [mergeguard].[write_black_list] @old_root = @old_root, @new_root = @new_root, @run_id = @run_id, @place = @place OUTPUT;

    -- The rows by which the old root is live go, one by one, each as it was into the journal.
    WHILE @live_name IS NOT NULL
    BEGIN
        SET @image = NULL;
        SET @sql = N'SELECT TOP (1) @image = ' + [mergeguard].[image_expression](@live)
            + N' FROM [mergeguard].[live_rows] AS t WHERE t.' + QUOTENAME(@live_guid_name) + N' = @old_root;
IF @image IS NOT NULL
BEGIN
    DELETE TOP (1) t FROM [mergeguard].[live_rows] AS t WHERE t.' + QUOTENAME(@live_guid_name) + N' = @old_root AND '
            + [mergeguard].[image_expression](@live) + N' COLLATE Latin1_General_BIN2 = @image;
    SET @rows = @@ROWCOUNT;
END;';
        EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @image nvarchar(max) OUTPUT, @rows int OUTPUT',
            @old_root = @old_root, @image = @image OUTPUT, @rows = @rows OUTPUT;
        IF @image IS NULL
            BREAK;
        IF @rows <> 1
            THROW 51943, N'mergeguard: write: a row of the live guids could not be taken out; look for triggers on the table', 1;
        SET @live_rows = @live_rows + 1;
        INSERT INTO [mergeguard].[journal_changes] ([run_id], [step], [place], [action], [table_name], [before_image], [after_image])
        VALUES (@run_id, 1, @place + @live_rows, N'remove', @live_name, @image, NULL);
    END;

    -- The lookup: the whole class of the old root follows, and the old root itself. Sent by itself: where the view cannot be
    -- written, this procedure could not even be made.
    SET @sql = N'UPDATE k SET [current_guid] = @new_root, [depth] = k.[depth] + 1
FROM [mergeguard].[lookup_rows] AS k WHERE k.[current_guid] = @old_root;
SET @lookup_rows = @@ROWCOUNT + 1;
INSERT INTO [mergeguard].[lookup_rows] ([old_guid], [current_guid], [depth], [status]) VALUES (@old_root, @new_root, 1, ''ok'');';
    EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @new_root uniqueidentifier, @lookup_rows int OUTPUT',
        @old_root = @old_root, @new_root = @new_root, @lookup_rows = @lookup_rows OUTPUT;

    -- The journal, as the programs read it: 'mergeguard undo' and unmerge_run take this back.
    INSERT INTO [mergeguard].[journal_runs] ([run_id], [kind], [who], [tool_version], [started], [reason], [finished], [undoes])
    VALUES (@run_id, N'merge', CONCAT(ORIGINAL_LOGIN(), N'@' + HOST_NAME()), N'SQL scripts 1', SYSUTCDATETIME(),
        COALESCE(N'request ' + @request_id, N''), SYSUTCDATETIME(), NULL);
    INSERT INTO [mergeguard].[journal_steps] ([run_id], [step], [component], [kinds], [members], [confidence], [why], [guard_after],
        [evidence], [happened], [digest], [survivor], [undone_by])
    VALUES (@run_id, 1, N'merge:' + @old_text, N'["merge"]', N'["' + @old_text + N'"]', N'ordered',
        CONCAT([mergeguard].[guid_text](@old), N' was to be merged into ', [mergeguard].[guid_text](@new)), N'[' + @row + N']',
        @evidence, SYSUTCDATETIME(), N'', @new_text, NULL);
    UPDATE s SET [digest] = [mergeguard].[step_digest](@run_id, 1)
    FROM [mergeguard].[journal_steps] AS s WHERE s.[run_id] = @run_id AND s.[step] = 1;
END;
GO

-- Merges what @old is now into what @new is now, and answers in one row. A refusal is an error whose message begins with
-- 'mergeguard: ' and the reason; it rolls the whole transaction back, that of the caller too.
-- @request_id makes it safe to ask again: the same request is made once, and answers the same.
-- @merge_key goes into the row of the merge, where 00_names.sql names a column for it.
-- @preview = 1 looks, refuses and answers, and writes nothing.
-- Not for INSERT ... EXEC: there the transaction cannot be rolled back, and a refusal comes as error 3915.
ALTER PROCEDURE [mergeguard].[merge_guids]
    @old uniqueidentifier,
    @new uniqueidentifier,
    @request_id nvarchar(4000) = NULL,
    @merge_key nvarchar(max) = NULL,
    @preview bit = 0
WITH EXECUTE AS OWNER
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    SET ANSI_PADDING ON;
    SET ANSI_WARNINGS ON;
    SET CONCAT_NULL_YIELDS_NULL ON;
    SET NUMERIC_ROUNDABORT OFF;
    -- Whatever the level of the caller is: a snapshot that is older than the locks would decide on what is no longer there.
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED;
    SET LOCK_TIMEOUT 10000;
    SET DEADLOCK_PRIORITY LOW;
    DECLARE @outer int = @@TRANCOUNT, @left int = 20, @done bit = 0, @answered bit, @said nvarchar(2048), @answer nvarchar(max);
    DECLARE @seen_old uniqueidentifier, @seen_new uniqueidentifier, @first uniqueidentifier, @last uniqueidentifier;
    DECLARE @old_root uniqueidentifier, @old_status varchar(16), @new_root uniqueidentifier, @new_status varchar(16);
    DECLARE @already bit, @run_id nvarchar(32), @lookup_rows int, @live_rows int, @row nvarchar(max), @columns nvarchar(max);
    DECLARE @evidence nvarchar(max), @moved int, @cleared int;

    -- Longer ones are refused here, and never cut: two ids may begin alike.
    IF DATALENGTH(@request_id) NOT BETWEEN 2 AND 128
        THROW 51926, N'mergeguard: usage: a request id has 1 to 64 characters', 1;
    IF DATALENGTH(@merge_key) > 8000
        THROW 51926, N'mergeguard: usage: a merge key has at most 4000 characters', 1;
    WHILE @done = 0
    BEGIN
        SELECT @left = @left - 1, @answered = 0, @already = 0, @run_id = NULL, @lookup_rows = 0, @live_rows = 0, @row = NULL;
        SELECT @columns = N'{}', @moved = 0, @cleared = 0;
        SELECT @answer = NULL, @seen_old = NULL, @seen_new = NULL;
        BEGIN TRY
            BEGIN TRANSACTION;
            EXEC [mergeguard].[take_merge_lock] @mode = N'Shared';
            EXEC [mergeguard].[require_fit];
            SELECT @answer = q.[answer] FROM [mergeguard].[requests] AS q WHERE q.[request_id] = @request_id;

            IF @answer IS NULL
            BEGIN
                -- First look: by the lookup, which is cheap, and where that misled by walking.
                IF @old IS NULL OR @new IS NULL
                    EXEC [mergeguard].[require_roots] @old, @new, NULL, NULL, NULL, NULL;
                IF @left = 19
                BEGIN
                    SELECT @seen_old = @old, @seen_new = @new;
                    SELECT @seen_old = k.[current_guid] FROM [mergeguard].[lookup_rows] AS k WHERE k.[old_guid] = @old;
                    SELECT @seen_new = k.[current_guid] FROM [mergeguard].[lookup_rows] AS k WHERE k.[old_guid] = @new;
                END;
                IF @seen_old IS NULL OR @seen_new IS NULL OR @seen_old = @seen_new
                BEGIN
                    SELECT @old_root = NULL, @old_status = NULL, @new_root = NULL, @new_status = NULL;
                    SELECT @old_root = c.[current], @old_status = c.[status] FROM [mergeguard].[current_guid](@old) AS c;
                    SELECT @new_root = c.[current], @new_status = c.[status] FROM [mergeguard].[current_guid](@new) AS c;
                    -- What has no root is refused behind the locks: a merge that commits between two reads looks like damage.
                    SELECT @seen_old = COALESCE(@old_root, @old), @seen_new = COALESCE(@new_root, @new);
                END;
                -- Once more with what the moved rows refer to, in one order: two that hold their roots and each wait for those of the
                -- other would be victims of one deadlock again and again.
                IF @preview = 0 AND @left < 19 AND @seen_old <> @seen_new
                    EXEC [mergeguard].[move_references] @seen_old, @seen_new, NULL, 1, @columns OUTPUT, @evidence OUTPUT,
                        @moved OUTPUT, @cleared OUTPUT, @lock_only = 1;
                ELSE IF @preview = 0
                BEGIN
                    SELECT @first = @seen_old, @last = @seen_new;
                    IF [mergeguard].[guid_text](@seen_new) COLLATE Latin1_General_BIN2
                        < [mergeguard].[guid_text](@seen_old) COLLATE Latin1_General_BIN2
                        SELECT @first = @seen_new, @last = @seen_old;
                    EXEC [mergeguard].[write_root] @root = @first;
                    IF @last <> @first
                        EXEC [mergeguard].[write_root] @root = @last;
                END;

                -- Behind the locks everything is read again, each read a statement of its own.
                SELECT @old_root = NULL, @old_status = NULL, @new_root = NULL, @new_status = NULL;
                SELECT @old_root = c.[current], @old_status = c.[status] FROM [mergeguard].[current_guid](@old) AS c;
                SELECT @new_root = c.[current], @new_status = c.[status] FROM [mergeguard].[current_guid](@new) AS c;
                IF @preview = 1 OR (@seen_old = COALESCE(@old_root, @old) AND @seen_new = COALESCE(@new_root, @new))
                BEGIN
                    SET @done = 1;
                    EXEC [mergeguard].[require_roots] @old, @new, @old_root, @old_status, @new_root, @new_status;
                    SELECT @answer = q.[answer] FROM [mergeguard].[requests] AS q WHERE q.[request_id] = @request_id;
                    IF @answer IS NULL
                    BEGIN
                        IF @old_root = @new_root
                            SET @already = 1;
                        ELSE
                        BEGIN
                            EXEC [mergeguard].[require_allowed] @old, @new, @old_root, @new_root;
                            IF @preview = 0
                                EXEC [mergeguard].[write_merge] @old, @new, @old_root, @new_root, @request_id, @merge_key,
                                    @run_id OUTPUT, @lookup_rows OUTPUT, @live_rows OUTPUT, @row OUTPUT, @columns OUTPUT, @moved OUTPUT,
                                    @cleared OUTPUT;
                            ELSE
                                EXEC [mergeguard].[move_references] @old_root, @new_root, NULL, 1, @columns OUTPUT, @evidence OUTPUT,
                                    @moved OUTPUT, @cleared OUTPUT;
                        END;
                        IF @preview = 0 AND @request_id IS NOT NULL
                            INSERT INTO [mergeguard].[requests] ([request_id], [run_id], [answer])
                            VALUES (@request_id, COALESCE(@run_id, N''), CONCAT(
                                CONVERT(nvarchar(max), N'{"old":"'), [mergeguard].[guid_text](@old),
                                N'","new":"', [mergeguard].[guid_text](@new),
                                N'","old_root":"', [mergeguard].[guid_text](@old_root),
                                N'","new_root":"', [mergeguard].[guid_text](@new_root),
                                N'","already":', CASE @already WHEN 1 THEN N'true' ELSE N'false' END,
                                N',"run_id":', [mergeguard].[json_text](@run_id),
                                N',"request_id":', [mergeguard].[json_text](@request_id),
                                N',"repeated":false,"row":', COALESCE(@row, N'null'),
                                N',"lookup_rows":', @lookup_rows, N',"live_rows":', @live_rows,
                                N',"hashes_cleared":', @cleared, N',"columns":', @columns,
                                N',"notes":[],"preview":false,"refused":null}'));
                    END;
                END;
                ELSE IF @left = 0
                BEGIN
                    SET @said = CONCAT(N'mergeguard: locked: other merges took the roots of ', [mergeguard].[guid_text](@old), N' and ',
                        [mergeguard].[guid_text](@new), N' again and again; try again');
                    THROW 51930, @said, 1;
                END;
            END;

            IF @answer IS NOT NULL
            BEGIN
                -- The request was answered before, here or by a program.
                IF @old IS NULL OR @new IS NULL
                    OR COALESCE(JSON_VALUE(@answer, '$.old'), N'') COLLATE Latin1_General_BIN2 <> [mergeguard].[guid_text](@old)
                    OR COALESCE(JSON_VALUE(@answer, '$.new'), N'') COLLATE Latin1_General_BIN2 <> [mergeguard].[guid_text](@new)
                BEGIN
                    SET @said = REPLACE(CONCAT(N'mergeguard: request-reused: request ', @request_id, N' merged ',
                        LEFT(JSON_VALUE(@answer, '$.old'), 36), N' into ', LEFT(JSON_VALUE(@answer, '$.new'), 36),
                        N', and now it asks for another merge'), N'%', N'%%');
                    THROW 51921, @said, 1;
                END;
                SELECT @answered = 1, @done = 1,
                    @old_root = TRY_CONVERT(uniqueidentifier, JSON_VALUE(@answer, '$.old_root')),
                    @new_root = TRY_CONVERT(uniqueidentifier, JSON_VALUE(@answer, '$.new_root')),
                    @already = CASE JSON_VALUE(@answer, '$.already') WHEN N'true' THEN 1 ELSE 0 END,
                    @run_id = JSON_VALUE(@answer, '$.run_id'),
                    @lookup_rows = TRY_CONVERT(int, JSON_VALUE(@answer, '$.lookup_rows')),
                    @live_rows = TRY_CONVERT(int, JSON_VALUE(@answer, '$.live_rows')),
                    @cleared = TRY_CONVERT(int, JSON_VALUE(@answer, '$.hashes_cleared')),
                    @columns = COALESCE(JSON_QUERY(@answer, '$.columns'), N'{}');
            END;
            -- Where the roots moved, the transaction of a caller keeps their locks, and one of our own begins again.
            IF @done = 0 AND @outer = 0
                ROLLBACK TRANSACTION;
            ELSE
                COMMIT TRANSACTION;
        END TRY
        BEGIN CATCH
            -- Nothing half written, and a doomed transaction cannot go on.
            IF @@TRANCOUNT > 0
                ROLLBACK TRANSACTION;
            SET @done = 0;
            -- The victim of a deadlock begins again, where no work of a caller went with it. So does who asked for another pair under
            -- the same request at the same time: the request stands there now, and says so.
            IF @outer > 0 OR @left = 0 OR NOT (ERROR_NUMBER() IN (1205, 3960) OR (ERROR_NUMBER() = 2627 AND EXISTS (
                SELECT 1 FROM [mergeguard].[requests] AS q WHERE q.[request_id] = @request_id
            )))
                THROW;
        END CATCH;
    END;

    SELECT @old AS [old], @new AS [new], @old_root AS [old_root], @new_root AS [new_root], @already AS [already], @run_id AS [run_id],
        @answered AS [repeated], @lookup_rows AS [lookup_rows], @live_rows AS [live_rows], @cleared AS [hashes_cleared],
        @columns AS [columns], @preview AS [preview];
END;
GO
