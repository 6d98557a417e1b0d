-- MergeGuard SQL scripts, version 1: mssql/45_survival.sql
-- What becomes of the rows that refer to two resources that become one, as 'mergeguard merge' decides it: the newest datum
-- stays, keys and sets are united, links are made once and not with oneself, no more of them stay than there may be.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[moved_expression]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[moved_expression] () RETURNS int AS BEGIN RETURN 0; END');
GO
IF OBJECT_ID(N'[mergeguard].[read_held]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[read_held] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[survive_table]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[survive_table] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[share_roots]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[share_roots] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[write_moves]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[write_moves] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[clear_hashes]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[clear_hashes] AS RETURN');
GO
IF OBJECT_ID(N'[mergeguard].[move_references]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[move_references] AS RETURN');
GO

-- Expressions over a row that is called t: 1 its image once the old root is re-pointed; 2 its cells by name, without those
-- that only name it; 3 those alone; 4 all of them. NULL where a type cannot be kept.
ALTER FUNCTION [mergeguard].[moved_expression] (@table int, @table_no int, @kind int)
RETURNS nvarchar(max)
AS
BEGIN
    DECLARE @open nvarchar(2) = CASE @kind WHEN 1 THEN N'{' ELSE N'[' END, @close nvarchar(2) = CASE @kind WHEN 1 THEN N'}' ELSE N']' END;
    DECLARE @text nvarchar(max), @comma nvarchar(2) = N'', @at int = 0, @name sysname = N'', @cell nvarchar(max), @quoted nvarchar(300);
    DECLARE @moves bit, @cleared bit, @names bit, @found int = 1;
    SET @text = N'CONVERT(nvarchar(max), N''' + @open + N''')';
    WHILE @found = 1
    BEGIN
        SELECT TOP (1) @at = c.[column_id], @name = c.[name], @cell = c.[cell], @quoted = c.[quoted],
            @moves = COALESCE(m.[moves], 0), @cleared = COALESCE(m.[cleared], 0), @names = COALESCE(m.[names], 0)
        FROM [mergeguard].[image_columns](@table) AS c
        LEFT JOIN [mergeguard].[moved_columns] AS m ON m.[table_no] = @table_no AND m.[column_name] = c.[name]
        WHERE (@kind = 1 AND c.[column_id] > @at) OR (@kind > 1 AND c.[name] COLLATE Latin1_General_BIN2 > @name COLLATE Latin1_General_BIN2)
        ORDER BY CASE WHEN @kind = 1 THEN c.[column_id] ELSE 0 END, c.[name] COLLATE Latin1_General_BIN2;
        SET @found = @@ROWCOUNT;
        IF @found = 1 AND @cell IS NULL
            RETURN NULL;
        IF @found = 1 AND (@kind IN (1, 4) OR (@kind = 2 AND @names = 0) OR (@kind = 3 AND @names = 1))
        BEGIN
            IF @kind = 1 AND @moves = 1
                SET @cell = N'CASE WHEN t.' + @quoted + N' = @old_root THEN N''"'' + CONVERT(nvarchar(36), @new_root) + N''"'' ELSE '
                    + @cell + N' END';
            IF @kind = 1 AND @cleared = 1
                SET @cell = N'NULL';
            SET @text = @text + N' + N''' + @comma + CASE @kind WHEN 1 THEN N'' ELSE N'[' END
                + REPLACE([mergeguard].[json_text](@name), N'''', N'''''') + CASE @kind WHEN 1 THEN N':' ELSE N', ' END
                + N''' + COALESCE(' + @cell + N', N''null'')' + CASE @kind WHEN 1 THEN N'' ELSE N' + N'']''' END;
            SET @comma = CASE @kind WHEN 1 THEN N',' ELSE N', ' END;
        END;
    END;
    RETURN @text + N' + N''' + @close + N'''';
END;
GO

-- Reads into #held the rows of one table that hold the old root, and those of the new one that they may come to equal.
ALTER PROCEDURE [mergeguard].[read_held] @table_no int, @old_root uniqueidentifier, @new_root uniqueidentifier
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @full nvarchar(600), @time nvarchar(max), @order nvarchar(max), @sets sysname, @parent sysname, @kind sysname, @class uniqueidentifier, @table int, @sql nvarchar(max);
    DECLARE @name sysname, @quoted nvarchar(300), @moves bit, @guid bit, @compared bit, @found int, @unique int, @place int, @cell nvarchar(max);
    DECLARE @after nvarchar(1000), @child sysname, @single sysname, @hashes nvarchar(600), @hash_guid sysname, @hash_class sysname, @hash_time sysname;
    DECLARE @hash_order sysname, @load nvarchar(max), @newest nvarchar(max), @outdated uniqueidentifier, @old_found int, @new_found int;
    DECLARE @old_turn bigint, @new_turn bigint, @old_at datetime2(7), @new_at datetime2(7);
    DECLARE @where nvarchar(max) = N'', @stale nvarchar(max) = N'', @listed nvarchar(max) = N'CONVERT(nvarchar(max), N'''')', @guids nvarchar(max) = N'CONVERT(nvarchar(max), N'''')';
    DECLARE @itself nvarchar(max) = N'', @keys nvarchar(max) = N'CONVERT(nvarchar(max), N'''')', @key nvarchar(max);
    SELECT @full = t.[full_name], @time = t.[time_sql], @order = t.[order_sql], @sets = t.[sets_name], @parent = t.[parent_name], @kind = t.[type_name],
        @class = COALESCE(t.[data_class], (
            SELECT TOP (1) k.[class] FROM [mergeguard].[hash_classes] AS k
            WHERE k.[class] IS NOT NULL AND (k.[name] = t.[table_name] OR k.[name] = PARSENAME(t.[full_name], 1))
        ))
    FROM [mergeguard].[moved_tables] AS t WHERE t.[table_no] = @table_no;
    SET @table = OBJECT_ID(@full, N'U');

    SELECT @name = N'', @found = 1;
    WHILE @found = 1
    BEGIN
        SELECT TOP (1) @name = m.[column_name], @moves = m.[moves], @guid = m.[is_guid],
            @compared = CASE WHEN EXISTS (
                SELECT 1 FROM [mergeguard].[moved_unique] AS u WHERE u.[table_no] = @table_no AND u.[column_name] = m.[column_name]
            ) OR m.[column_name] = @sets THEN 1 ELSE 0 END
        FROM [mergeguard].[moved_columns] AS m
        WHERE m.[table_no] = @table_no AND m.[is_guid] = 1 AND m.[column_name] COLLATE Latin1_General_BIN2 > @name COLLATE Latin1_General_BIN2
        ORDER BY m.[column_name] COLLATE Latin1_General_BIN2;
        SET @found = @@ROWCOUNT;
        IF @found = 0
            BREAK;
        SET @quoted = N't.' + QUOTENAME(@name);
        SET @guids = @guids + N' + COALESCE(CONVERT(nchar(36), ' + @quoted + N'), SPACE(36))';
        IF @moves = 1
        BEGIN
            SET @where = @where + CASE @where WHEN N'' THEN N'' ELSE N' OR ' END + @quoted
                + CASE @compared WHEN 1 THEN N' IN (@old_root, @new_root)' ELSE N' = @old_root' END;
            SET @stale = @stale + CASE @stale WHEN N'' THEN N'' ELSE N' OR ' END + @quoted + N' = @old_root';
            SET @listed = @listed + N' + CASE WHEN ' + @quoted + N' = @old_root THEN N''' + REPLACE(QUOTENAME(@name), N'''', N'''''')
                + N''' ELSE N'''' END';
            SET @guids = @guids + N' + CASE WHEN ' + @quoted + N' = @old_root THEN CONVERT(nchar(36), @new_root) ELSE SPACE(36) END';
        END;
    END;

    SELECT @unique = 0, @found = 1;
    WHILE @found = 1
    BEGIN
        SELECT @key = N'CONVERT(nvarchar(max), N'''')', @place = 0;
        SELECT TOP (1) @unique = u.[unique_no] FROM [mergeguard].[moved_unique] AS u
        WHERE u.[table_no] = @table_no AND u.[unique_no] > @unique ORDER BY u.[unique_no];
        SET @found = @@ROWCOUNT;
        IF @found = 0
            BREAK;
        WHILE 1 = 1
        BEGIN
            SELECT TOP (1) @place = u.[place], @quoted = N't.' + c.[quoted], @cell = c.[cell],
                @guid = COALESCE(m.[is_guid], 0), @moves = COALESCE(m.[moves], 0)
            FROM [mergeguard].[moved_unique] AS u
            JOIN [mergeguard].[image_columns](@table) AS c ON c.[name] = u.[column_name]
            LEFT JOIN [mergeguard].[moved_columns] AS m ON m.[table_no] = u.[table_no] AND m.[column_name] = u.[column_name]
            WHERE u.[table_no] = @table_no AND u.[unique_no] = @unique AND u.[place] > @place ORDER BY u.[place];
            IF @@ROWCOUNT = 0
                BREAK;
            SET @after = CASE @moves WHEN 1 THEN N'CASE WHEN ' + @quoted + N' = @old_root THEN @new_root ELSE ' + @quoted + N' END' ELSE @quoted END;
            SET @key = @key + N' + N'','' + COALESCE('
                + CASE @guid WHEN 1 THEN N'N''"'' + CONVERT(nvarchar(36), ' + @after + N') + N''"''' ELSE @cell END + N', N''null'')';
        END;
        SET @keys = @keys + N' + CONVERT(nvarchar(64), HASHBYTES(''SHA2_256'', CONVERT(varbinary(max), ' + @key + N')), 2)';
    END;

    SET @name = N'';
    WHILE 1 = 1
    BEGIN
        SELECT TOP (1) @name = e.[parent_name], @child = e.[child_name] FROM [mergeguard].[moved_ends] AS e
        WHERE e.[table_no] = @table_no AND e.[parent_name] COLLATE Latin1_General_BIN2 > @name COLLATE Latin1_General_BIN2
        ORDER BY e.[parent_name] COLLATE Latin1_General_BIN2;
        IF @@ROWCOUNT = 0
            BREAK;
        SET @itself = @itself + CASE @itself WHEN N'' THEN N'' ELSE N' OR ' END
            + N'(t.' + QUOTENAME(@name) + N' <> t.' + QUOTENAME(@child)
            + N' AND CASE t.' + QUOTENAME(@name) + N' WHEN @old_root THEN @new_root ELSE t.' + QUOTENAME(@name)
            + N' END = CASE t.' + QUOTENAME(@child) + N' WHEN @old_root THEN @new_root ELSE t.' + QUOTENAME(@child) + N' END)';
    END;

    -- What was loaded last, by number and by time, is the newest.
    SELECT @hashes = h.[full_name], @hash_guid = h.[guid_name], @hash_class = h.[class_name], @hash_time = h.[time_name],
        @hash_order = h.[order_name]
    FROM [mergeguard].[hash_table] AS h;
    IF @class IS NOT NULL AND (@hash_time IS NOT NULL OR @hash_order IS NOT NULL)
        SET @newest = COALESCE(N'h.' + QUOTENAME(@hash_order) + N' DESC', N'') + CASE WHEN @hash_order IS NULL OR @hash_time IS NULL THEN N''
            ELSE N', ' END + COALESCE(N'h.' + QUOTENAME(@hash_time) + N' DESC', N'');

    -- A table that knows no time, with one row a resource, is dated by it.
    IF @time IS NULL AND @order IS NULL AND @newest IS NOT NULL
    BEGIN
        SELECT TOP (1) @single = MIN(u.[column_name]) FROM [mergeguard].[moved_unique] AS u WHERE u.[table_no] = @table_no
        GROUP BY u.[unique_no] HAVING COUNT(*) = 1 ORDER BY u.[unique_no];
        SET @load = N' FROM ' + @hashes + N' AS h WHERE h.' + QUOTENAME(@hash_guid) + N' = t.' + QUOTENAME(@single) + N' AND h.'
            + QUOTENAME(@hash_class) + N' = @class ORDER BY ' + @newest + N')';
        SET @time = N'(SELECT TOP (1) CONVERT(datetime2(7), h.' + QUOTENAME(@hash_time) + N')' + @load;
        SET @order = N'(SELECT TOP (1) CONVERT(bigint, h.' + QUOTENAME(@hash_order) + N')' + @load;
    END;

    -- Where all rows of a resource are loaded together, those of the root that was loaded earlier go; what nobody wrote a summary
    -- of is older than all of which there is one.
    IF @sets IS NOT NULL AND @newest IS NOT NULL
    BEGIN
        SET @sql = N'SELECT TOP (1) @turn = ' + COALESCE(N'CONVERT(bigint, h.' + QUOTENAME(@hash_order) + N')', N'NULL') + N', @at = '
            + COALESCE(N'CONVERT(datetime2(7), h.' + QUOTENAME(@hash_time) + N')', N'NULL') + N', @found = 1 FROM ' + @hashes
            + N' AS h WHERE h.' + QUOTENAME(@hash_guid) + N' = @root AND h.' + QUOTENAME(@hash_class) + N' = @class ORDER BY ' + @newest + N';';
        EXEC sys.sp_executesql @sql, N'@root uniqueidentifier, @class uniqueidentifier, @turn bigint OUTPUT, @at datetime2(7) OUTPUT, @found int OUTPUT',
            @root = @old_root, @class = @class, @turn = @old_turn OUTPUT, @at = @old_at OUTPUT, @found = @old_found OUTPUT;
        EXEC sys.sp_executesql @sql, N'@root uniqueidentifier, @class uniqueidentifier, @turn bigint OUTPUT, @at datetime2(7) OUTPUT, @found int OUTPUT',
            @root = @new_root, @class = @class, @turn = @new_turn OUTPUT, @at = @new_at OUTPUT, @found = @new_found OUTPUT;
        SELECT @old_turn = COALESCE(@old_turn, -9223372036854775808), @new_turn = COALESCE(@new_turn, -9223372036854775808),
            @old_at = COALESCE(@old_at, '0001-01-01'), @new_at = COALESCE(@new_at, '0001-01-01');
        IF @old_found = 1 AND (@new_found IS NULL OR @old_turn > @new_turn OR (@old_turn = @new_turn AND @old_at > @new_at))
            SET @outdated = @new_root;
        ELSE IF @new_found = 1
            SET @outdated = @old_root;
    END;

    SET @sql = N'INSERT INTO #held ([table_no], [image], [after_image], [content], [named], [whole], [keys], [guids], [turn], [at], [outdated], [stale],
    [stale_columns], [itself], [parent_new], [parent_stale], [kind])
SELECT @table_no, ' + [mergeguard].[image_expression](@table)
        + N', ' + [mergeguard].[moved_expression](@table, @table_no, 1)
        + N', ' + [mergeguard].[moved_expression](@table, @table_no, 2)
        + N', ' + [mergeguard].[moved_expression](@table, @table_no, 3)
        + N', ' + [mergeguard].[moved_expression](@table, @table_no, 4)
        + N', ' + @keys + N', ' + @guids + N', ' + COALESCE(@order, N'NULL') + N', ' + COALESCE(@time, N'NULL')
        + N', ' + COALESCE(N'CASE WHEN t.' + QUOTENAME(@sets) + N' = @outdated THEN CASE WHEN @outdated = @new_root THEN 1 ELSE 2 END ELSE 0 END', N'0')
        + N', CASE WHEN ' + @stale + N' THEN 1 ELSE 0 END, ' + @listed
        + N', ' + CASE @itself WHEN N'' THEN N'0' ELSE N'CASE WHEN ' + @itself + N' THEN 1 ELSE 0 END' END
        + N', ' + COALESCE(N'CASE WHEN t.' + QUOTENAME(@parent) + N' = @new_root THEN 1 ELSE 0 END', N'0')
        + N', ' + COALESCE(N'CASE WHEN t.' + QUOTENAME(@parent) + N' = @old_root THEN 1 ELSE 0 END', N'0')
        + N', ' + COALESCE(N't.' + QUOTENAME(@kind), N'NULL')
        + N' FROM ' + @full + N' AS t WITH (UPDLOCK) WHERE ' + @where + N';';
    IF @sql IS NULL
        THROW 51925, N'mergeguard: unsupported: a table of references is not as 00_names.sql describes it, or has rows that cannot be kept', 1;
    EXEC sys.sp_executesql @sql, N'@table_no int, @old_root uniqueidentifier, @new_root uniqueidentifier, @class uniqueidentifier, @outdated uniqueidentifier',
        @table_no = @table_no, @old_root = @old_root, @new_root = @new_root, @class = @class, @outdated = @outdated;
    IF NOT EXISTS (SELECT 1 FROM #held AS h WHERE h.[table_no] = @table_no AND (h.[stale] = 1 OR h.[outdated] > 0))
        DELETE FROM #held WHERE [table_no] = @table_no;
END;
GO

-- Gives each row of #held of one table its fate: changed, dropped, collapsed, outnumbered, replaced; NULL stays as it is.
-- [rank] says which is the newest; [into_rank] of a collapsed row is that of the row that says the same.
ALTER PROCEDURE [mergeguard].[survive_table] @table_no int
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @rank int, @number int, @turn bigint, @at datetime2(7), @itself bit, @holder int;
    CREATE TABLE #key ([number] int NOT NULL, [unique_no] int NOT NULL, [key] nvarchar(64) COLLATE Latin1_General_BIN2 NOT NULL,
        PRIMARY KEY ([number], [unique_no]), UNIQUE ([unique_no], [key], [number]));
    CREATE TABLE #taken ([unique_no] int NOT NULL, [key] nvarchar(64) COLLATE Latin1_General_BIN2 NOT NULL, [rank] int NOT NULL,
        PRIMARY KEY ([unique_no], [key]));

    -- The newest row is first; of equally new ones the last in the text of its cells.
    UPDATE h SET [rank] = r.[rank]
    FROM #held AS h
    JOIN (
        SELECT g.[number], ROW_NUMBER() OVER (ORDER BY COALESCE(g.[turn], -9223372036854775808) DESC, COALESCE(g.[at], '0001-01-01') DESC,
            g.[content] COLLATE Latin1_General_BIN2 DESC, g.[named] COLLATE Latin1_General_BIN2 DESC, g.[number]) AS [rank]
        FROM #held AS g WHERE g.[table_no] = @table_no
    ) AS r ON r.[number] = h.[number];
    -- Data that are loaded as a whole: those that were loaded earlier go.
    UPDATE #held SET [fate] = CASE [outdated] WHEN 1 THEN 'replaced' ELSE 'collapsed' END WHERE [table_no] = @table_no AND [outdated] > 0;
    IF NOT EXISTS (SELECT 1 FROM [mergeguard].[moved_unique] AS u WHERE u.[table_no] = @table_no)
        UPDATE #held SET [fate] = CASE [itself] WHEN 1 THEN 'dropped' ELSE 'changed' END
        WHERE [table_no] = @table_no AND [stale] = 1 AND [fate] IS NULL;
    INSERT INTO #key ([number], [unique_no], [key])
    SELECT h.[number], u.[unique_no], SUBSTRING(h.[keys], (u.[unique_no] - 1) * 64 + 1, 64)
    FROM #held AS h
    CROSS JOIN (SELECT DISTINCT q.[unique_no] FROM [mergeguard].[moved_unique] AS q WHERE q.[table_no] = @table_no) AS u
    WHERE h.[table_no] = @table_no;

    -- Rows of the new root give way to newer ones of the old root.
    SET @rank = 0;
    IF NOT EXISTS (SELECT 1 FROM #held AS h WHERE h.[table_no] = @table_no AND h.[stale] = 0)
        SET @rank = 2147483647;
    WHILE 1 = 1
    BEGIN
        SET @number = NULL;
        SELECT TOP (1) @rank = h.[rank], @number = h.[number], @turn = COALESCE(h.[turn], -9223372036854775808),
            @at = COALESCE(h.[at], '0001-01-01')
        FROM #held AS h
        WHERE h.[table_no] = @table_no AND h.[stale] = 1 AND h.[itself] = 0 AND h.[rank] > @rank AND h.[fate] IS NULL ORDER BY h.[rank];
        IF @number IS NULL
            BREAK;
        IF NOT EXISTS (
            SELECT 1 FROM #key AS k JOIN #taken AS t ON t.[unique_no] = k.[unique_no] AND t.[key] = k.[key] WHERE k.[number] = @number
        ) AND NOT EXISTS (
            SELECT 1 FROM #key AS k
            JOIN #key AS o ON o.[unique_no] = k.[unique_no] AND o.[key] = k.[key]
            JOIN #held AS g ON g.[number] = o.[number]
            WHERE k.[number] = @number AND g.[stale] = 0 AND g.[fate] IS NULL
                AND (COALESCE(g.[turn], -9223372036854775808) > @turn
                    OR (COALESCE(g.[turn], -9223372036854775808) = @turn AND COALESCE(g.[at], '0001-01-01') >= @at))
        )
        BEGIN
            UPDATE g SET [fate] = 'replaced'
            FROM #held AS g
            WHERE g.[table_no] = @table_no AND g.[stale] = 0 AND g.[fate] IS NULL AND EXISTS (
                SELECT 1 FROM #key AS k JOIN #key AS o ON o.[unique_no] = k.[unique_no] AND o.[key] = k.[key]
                WHERE k.[number] = @number AND o.[number] = g.[number]
            );
            INSERT INTO #taken ([unique_no], [key], [rank]) SELECT k.[unique_no], k.[key], @rank FROM #key AS k WHERE k.[number] = @number;
        END;
    END;

    -- The others are re-pointed, unless another row says the same or they would link the new root with itself.
    DELETE FROM #taken;
    INSERT INTO #taken ([unique_no], [key], [rank])
    SELECT k.[unique_no], k.[key], MIN(h.[rank]) FROM #key AS k JOIN #held AS h ON h.[number] = k.[number]
    WHERE h.[stale] = 0 AND h.[fate] IS NULL GROUP BY k.[unique_no], k.[key];
    SET @rank = 0;
    WHILE 1 = 1
    BEGIN
        SELECT @number = NULL, @holder = NULL;
        SELECT TOP (1) @rank = h.[rank], @number = h.[number], @itself = h.[itself] FROM #held AS h
        WHERE h.[table_no] = @table_no AND h.[stale] = 1 AND h.[rank] > @rank AND h.[fate] IS NULL ORDER BY h.[rank];
        IF @number IS NULL
            BREAK;
        SELECT TOP (1) @holder = t.[rank] FROM #key AS k JOIN #taken AS t ON t.[unique_no] = k.[unique_no] AND t.[key] = k.[key]
        WHERE k.[number] = @number AND @itself = 0 ORDER BY k.[unique_no];
        UPDATE #held SET [fate] = CASE WHEN @itself = 1 THEN 'dropped' WHEN @holder IS NULL THEN 'changed' ELSE 'collapsed' END,
            [into_rank] = @holder
        WHERE [number] = @number;
        IF @itself = 0 AND @holder IS NULL
            INSERT INTO #taken ([unique_no], [key], [rank]) SELECT k.[unique_no], k.[key], @rank FROM #key AS k WHERE k.[number] = @number;
    END;

    -- Of the links that the new root is the parent of, only as many stay as there may be of each type, the newest.
    UPDATE h SET [fate] = CASE WHEN h.[fate] IS NULL THEN 'replaced' ELSE 'outnumbered' END
    FROM #held AS h
    JOIN (
        SELECT g.[number], g.[kind],
            ROW_NUMBER() OVER (PARTITION BY g.[kind] ORDER BY COALESCE(g.[turn], -9223372036854775808) DESC,
                COALESCE(g.[at], '0001-01-01') DESC, CASE WHEN g.[fate] IS NULL THEN 0 ELSE 1 END, g.[whole] COLLATE Latin1_General_BIN2) AS [place],
            MAX(CASE WHEN g.[fate] = 'changed' THEN 1 ELSE 0 END) OVER (PARTITION BY g.[kind]) AS [arrived]
        FROM #held AS g
        WHERE g.[table_no] = @table_no AND g.[kind] IS NOT NULL
            AND ((g.[fate] IS NULL AND g.[stale] = 0 AND g.[parent_new] = 1) OR (g.[fate] = 'changed' AND g.[parent_stale] = 1))
    ) AS r ON r.[number] = h.[number]
    JOIN (SELECT m.[type], MAX(m.[maximum]) AS [maximum] FROM [mergeguard].[link_maxima] AS m WHERE m.[maximum] > 0 GROUP BY m.[type]) AS x
        ON x.[type] = r.[kind]
    WHERE r.[arrived] = 1 AND r.[place] > x.[maximum];
END;
GO

-- Keeps others from merging, until this transaction ends, the other guids in rows of which no two may be equal; with @roots = 1
-- the two roots are locked and written with them, all in one order.
ALTER PROCEDURE [mergeguard].[share_roots] @old_root uniqueidentifier, @new_root uniqueidentifier, @roots bit, @more bit OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @guid uniqueidentifier, @held int, @sql nvarchar(max);
    SET @more = 0;
    -- Sent by itself: where the view cannot be written, this procedure could not even be made.
    SET @sql = N'INSERT INTO [mergeguard].[roots] ([guid], [turn])
SELECT @guid, 1 WHERE NOT EXISTS (SELECT 1 FROM [mergeguard].[roots] AS r WITH (UPDLOCK, HOLDLOCK) WHERE r.[guid] = @guid);';
    INSERT INTO #around ([guid], [shared])
    SELECT DISTINCT TRY_CONVERT(uniqueidentifier, SUBSTRING(h.[guids], n.[n] * 36 + 1, 36)), 0
    FROM #held AS h CROSS JOIN #piece AS n
    WHERE h.[stale] = 1 AND (n.[n] + 1) * 72 <= DATALENGTH(h.[guids]) AND SUBSTRING(h.[guids], n.[n] * 36 + 1, 36) <> SPACE(36)
        AND EXISTS (
            SELECT 1 FROM [mergeguard].[moved_unique] AS u
            JOIN [mergeguard].[moved_columns] AS m ON m.[table_no] = u.[table_no] AND m.[column_name] = u.[column_name] AND m.[moves] = 1
            WHERE u.[table_no] = h.[table_no] GROUP BY u.[unique_no] HAVING COUNT(*) > 1
        )
        AND TRY_CONVERT(uniqueidentifier, SUBSTRING(h.[guids], n.[n] * 36 + 1, 36)) NOT IN (@old_root, @new_root)
        AND NOT EXISTS (SELECT 1 FROM #around AS a WHERE a.[guid] = TRY_CONVERT(uniqueidentifier, SUBSTRING(h.[guids], n.[n] * 36 + 1, 36)));
    IF @roots = 1
        INSERT INTO #around ([guid], [shared]) VALUES (@old_root, 0), (@new_root, 0);
    WHILE 1 = 1
    BEGIN
        SET @guid = NULL;
        SELECT TOP (1) @guid = a.[guid] FROM #around AS a WHERE a.[shared] = 0 ORDER BY LOWER(CONVERT(char(36), a.[guid])) COLLATE Latin1_General_BIN2;
        IF @guid IS NULL
            BREAK;
        IF @guid IN (@old_root, @new_root)
            EXEC [mergeguard].[write_root] @root = @guid;
        ELSE
        BEGIN
            EXEC sys.sp_executesql @sql, N'@guid uniqueidentifier', @guid = @guid;
            SELECT @held = COUNT(*) FROM [mergeguard].[roots] AS r WITH (REPEATABLEREAD, ROWLOCK) WHERE r.[guid] = @guid;
        END;
        UPDATE #around SET [shared] = 1 WHERE [guid] = @guid;
        SET @more = 1;
    END;
END;
GO

-- Writes the fates of the rows of one table into it, those that go before those that take their place, and into the journal.
ALTER PROCEDURE [mergeguard].[write_moves] @table_no int, @old_root uniqueidentifier, @new_root uniqueidentifier, @run_id nvarchar(32)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @full nvarchar(600), @table_name nvarchar(600), @table int, @sql nvarchar(max), @where nvarchar(max) = N'', @stale nvarchar(max) = N'';
    DECLARE @sets nvarchar(max) = N'', @name sysname = N'', @quoted nvarchar(300), @moves bit, @last int, @number int, @image nvarchar(max), @rows int;
    DECLARE @expected int, @left int;
    SELECT @full = t.[full_name], @table_name = t.[table_name] FROM [mergeguard].[moved_tables] AS t WHERE t.[table_no] = @table_no;
    SET @table = OBJECT_ID(@full, N'U');
    WHILE 1 = 1
    BEGIN
        SELECT TOP (1) @name = m.[column_name], @moves = m.[moves] FROM [mergeguard].[moved_columns] AS m
        WHERE m.[table_no] = @table_no AND (m.[moves] = 1 OR m.[cleared] = 1)
            AND m.[column_name] COLLATE Latin1_General_BIN2 > @name COLLATE Latin1_General_BIN2
        ORDER BY m.[column_name] COLLATE Latin1_General_BIN2;
        IF @@ROWCOUNT = 0
            BREAK;
        SET @quoted = N't.' + QUOTENAME(@name);
        SET @sets = @sets + CASE @sets WHEN N'' THEN N'' ELSE N', ' END + QUOTENAME(@name) + CASE @moves
            WHEN 1 THEN N' = CASE WHEN ' + @quoted + N' = @old_root THEN @new_root ELSE ' + @quoted + N' END' ELSE N' = NULL' END;
        IF @moves = 1
            SELECT @where = @where + CASE @where WHEN N'' THEN N'' ELSE N' OR ' END + @quoted + N' IN (@old_root, @new_root)',
                @stale = @stale + CASE @stale WHEN N'' THEN N'' ELSE N' OR ' END + @quoted + N' = @old_root';
    END;

    SELECT @last = COALESCE(MAX(c.[place]), -1) FROM [mergeguard].[journal_changes] AS c WHERE c.[run_id] = @run_id AND c.[step] = 1;
    INSERT INTO [mergeguard].[journal_changes] ([run_id], [step], [place], [action], [table_name], [before_image], [after_image])
    SELECT @run_id, 1, @last + ROW_NUMBER() OVER (ORDER BY c.[phase], c.[rank]), c.[action], @table_name, c.[image], c.[after_image]
    FROM (
        SELECT 1 AS [phase], h.[rank], N'keep' AS [action], h.[image], h.[image] AS [after_image]
        FROM #held AS h
        WHERE h.[table_no] = @table_no AND h.[fate] IS NULL
            AND EXISTS (SELECT 1 FROM #held AS g WHERE g.[table_no] = @table_no AND g.[fate] = 'collapsed' AND g.[into_rank] = h.[rank])
            AND NOT EXISTS (
                SELECT 1 FROM #held AS g WHERE g.[table_no] = @table_no AND g.[fate] IN ('dropped', 'collapsed', 'outnumbered', 'replaced')
                    AND g.[image] COLLATE Latin1_General_BIN2 = h.[image] COLLATE Latin1_General_BIN2
            )
        UNION ALL
        SELECT 2, h.[rank], CASE h.[fate] WHEN 'dropped' THEN N'drop self-reference' ELSE N'collapse duplicate' END, h.[image], NULL
        FROM #held AS h WHERE h.[table_no] = @table_no AND h.[fate] IN ('dropped', 'collapsed', 'outnumbered', 'replaced')
        UNION ALL
        SELECT 3, h.[rank], N're-point', h.[image], h.[after_image]
        FROM #held AS h WHERE h.[table_no] = @table_no AND h.[fate] = 'changed'
    ) AS c;

    -- What goes, row by row; then all that still hold the old root are those that are re-pointed.
    SET @number = 0;
    WHILE 1 = 1
    BEGIN
        SET @image = NULL;
        SELECT TOP (1) @number = h.[number], @image = h.[image] FROM #held AS h
        WHERE h.[table_no] = @table_no AND h.[fate] IN ('dropped', 'collapsed', 'outnumbered', 'replaced') AND h.[number] > @number
        ORDER BY h.[number];
        IF @image IS NULL
            BREAK;
        SET @sql = N'DELETE TOP (1) t FROM ' + @full + N' AS t WHERE (' + @where + N') AND '
            + [mergeguard].[image_expression](@table) + N' COLLATE Latin1_General_BIN2 = @image; SET @rows = @@ROWCOUNT;';
        EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @new_root uniqueidentifier, @image nvarchar(max), @rows int OUTPUT',
            @old_root = @old_root, @new_root = @new_root, @image = @image, @rows = @rows OUTPUT;
        IF @rows <> 1
            THROW 51943, N'mergeguard: write: a row of a reference could not be deleted; look for triggers on its table', 1;
    END;
    SELECT @expected = COUNT(*) FROM #held AS h WHERE h.[table_no] = @table_no AND h.[fate] = 'changed';
    SET @sql = N'UPDATE t SET ' + @sets + N' FROM ' + @full + N' AS t WHERE ' + @stale + N'; SET @rows = @@ROWCOUNT;
SELECT @left = COUNT(*) FROM ' + @full + N' AS t WHERE ' + @stale + N';';
    EXEC sys.sp_executesql @sql, N'@old_root uniqueidentifier, @new_root uniqueidentifier, @rows int OUTPUT, @left int OUTPUT',
        @old_root = @old_root, @new_root = @new_root, @rows = @rows OUTPUT, @left = @left OUTPUT;
    IF @rows <> @expected OR @left <> 0
        THROW 51943, N'mergeguard: write: other rows of a reference changed than were to; was one added meanwhile, or is there a trigger?', 1;
END;
GO

-- Clears the hashes of data that were moved: data with an unchanged hash would never be loaded again.
ALTER PROCEDURE [mergeguard].[clear_hashes] @old_root uniqueidentifier, @run_id nvarchar(32), @cleared int OUTPUT
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @full nvarchar(600), @table_name nvarchar(600), @guid sysname, @class sysname, @hash sysname, @table int, @sql nvarchar(max);
    DECLARE @last int, @images nvarchar(max), @changed int;
    SET @cleared = 0;
    SELECT @table_name = h.[table_name], @full = h.[full_name], @guid = h.[guid_name], @class = h.[class_name], @hash = h.[hash_name]
    FROM [mergeguard].[hash_table] AS h;
    IF @full IS NULL OR NOT EXISTS (SELECT 1 FROM #held AS h WHERE h.[fate] IS NOT NULL)
        RETURN;
    CREATE TABLE #touched ([guid] uniqueidentifier NOT NULL, [class] uniqueidentifier NOT NULL, PRIMARY KEY ([guid], [class]));
    CREATE TABLE #hash ([number] int IDENTITY(1, 1) NOT NULL PRIMARY KEY, [image] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [after_image] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL);
    SET @table = OBJECT_ID(@full, N'U');
    INSERT INTO #touched ([guid], [class])
    SELECT DISTINCT p.[guid], p.[class]
    FROM (
        SELECT TRY_CONVERT(uniqueidentifier, SUBSTRING(h.[guids], n.[n] * 36 + 1, 36)) AS [guid],
            CASE WHEN t.[full_name] = @full THEN TRY_CONVERT(uniqueidentifier, (
                SELECT j.[value] FROM [mergeguard].[json_cells](h.[image]) AS j WHERE j.[name] = @class COLLATE Latin1_General_BIN2
            )) ELSE COALESCE(t.[data_class], (
                SELECT TOP (1) k.[class] FROM [mergeguard].[hash_classes] AS k
                WHERE k.[class] IS NOT NULL AND (k.[name] = t.[table_name] OR k.[name] = PARSENAME(t.[full_name], 1))
            )) END AS [class]
        FROM #held AS h
        JOIN [mergeguard].[moved_tables] AS t ON t.[table_no] = h.[table_no]
        CROSS JOIN #piece AS n
        WHERE h.[fate] IS NOT NULL AND (n.[n] + 1) * 72 <= DATALENGTH(h.[guids])
    ) AS p
    WHERE p.[guid] IS NOT NULL AND p.[class] IS NOT NULL AND p.[guid] <> @old_root;
    -- Rows that stood under the old root have moved, and have none any more.
    SET @sql = N'INSERT INTO #hash ([image], [after_image])
SELECT ' + [mergeguard].[image_expression](@table) + N', N'''' FROM ' + @full + N' AS t JOIN #touched AS x ON x.[guid] = t.' + QUOTENAME(@guid)
        + N' AND x.[class] = t.' + QUOTENAME(@class) + N' WHERE t.' + QUOTENAME(@hash) + N' IS NOT NULL ORDER BY t.' + QUOTENAME(@guid) + N', t.'
        + QUOTENAME(@class) + N';
UPDATE t SET ' + QUOTENAME(@hash) + N' = NULL FROM ' + @full + N' AS t JOIN #touched AS x ON x.[guid] = t.' + QUOTENAME(@guid)
        + N' AND x.[class] = t.' + QUOTENAME(@class) + N' WHERE t.' + QUOTENAME(@hash) + N' IS NOT NULL;
SET @changed = @@ROWCOUNT;';
    EXEC sys.sp_executesql @sql, N'@changed int OUTPUT', @changed = @changed OUTPUT;
    SELECT @cleared = COUNT(*) FROM #hash;
    IF COALESCE(@changed, -1) <> @cleared
        THROW 51943, N'mergeguard: write: other hashes changed than were to; look for triggers on their table', 1;
    UPDATE h SET [after_image] = (
        SELECT CONCAT(CONVERT(nvarchar(max), N'{'), STUFF((
            SELECT N',' + [mergeguard].[json_text](c.[name]) + N':' + CASE WHEN c.[name] = @hash THEN N'null' ELSE [mergeguard].[json_text](j.[value]) END
            FROM [mergeguard].[image_columns](@table) AS c
            LEFT JOIN [mergeguard].[json_cells](h.[image]) AS j ON j.[name] = c.[name] COLLATE Latin1_General_BIN2
            ORDER BY c.[column_id] FOR XML PATH(N''), TYPE
        ).value(N'.', N'nvarchar(max)'), 1, 1, N''), N'}')
    )
    FROM #hash AS h;
    SELECT @last = COALESCE(MAX(c.[place]), -1) FROM [mergeguard].[journal_changes] AS c WHERE c.[run_id] = @run_id AND c.[step] = 1;
    INSERT INTO [mergeguard].[journal_changes] ([run_id], [step], [place], [action], [table_name], [before_image], [after_image])
    SELECT @run_id, 1, @last + h.[number], N'clear hash', @table_name, h.[image], h.[after_image] FROM #hash AS h;
END;
GO

-- Moves all rows that refer to the old root, in the open transaction, and answers with the account as JSON: what became of the
-- rows that held it, by column. With @preview = 1 nothing is moved. With @lock_only = 1 nothing is answered either: both roots are
-- locked and written, and what their rows refer to beside them is shared, in one order.
ALTER PROCEDURE [mergeguard].[move_references]
    @old_root uniqueidentifier,
    @new_root uniqueidentifier,
    @run_id nvarchar(32),
    @preview bit,
    @columns nvarchar(max) OUTPUT,
    @evidence nvarchar(max) OUTPUT,
    @moved int OUTPUT,
    @cleared int OUTPUT,
    @lock_only bit = 0
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @table_no int, @more bit = 1, @name nvarchar(1000), @rows int, @json nvarchar(1000), @comma nvarchar(1) = N'';
    CREATE TABLE #held (
        [number] int IDENTITY(1, 1) NOT NULL PRIMARY KEY,
        [table_no] int NOT NULL,
        [image] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [after_image] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [content] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [named] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [whole] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [keys] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [guids] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [turn] bigint NULL,
        [at] datetime2(7) NULL,
        [outdated] tinyint NOT NULL,
        [stale] bit NOT NULL,
        [stale_columns] nvarchar(max) COLLATE DATABASE_DEFAULT NOT NULL,
        [itself] bit NOT NULL,
        [parent_new] bit NOT NULL,
        [parent_stale] bit NOT NULL,
        [kind] uniqueidentifier NULL,
        [rank] int NULL,
        [fate] varchar(12) COLLATE DATABASE_DEFAULT NULL,
        [into_rank] int NULL
    );
    CREATE TABLE #around ([guid] uniqueidentifier NOT NULL PRIMARY KEY, [shared] bit NOT NULL);
    CREATE TABLE #piece ([n] int NOT NULL PRIMARY KEY);
    INSERT INTO #piece ([n]) SELECT a.[d] * 10 + b.[d]
    FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS a ([d])
    CROSS JOIN (VALUES (0), (1), (2), (3), (4), (5), (6), (7), (8), (9)) AS b ([d]);
    SELECT @columns = N'', @evidence = N'', @moved = 0, @cleared = 0;

    -- Read, and once more where others might be merging what the same rows refer to.
    WHILE @more = 1
    BEGIN
        DELETE FROM #held;
        SET @table_no = 0;
        WHILE 1 = 1
        BEGIN
            SELECT TOP (1) @table_no = t.[table_no] FROM [mergeguard].[moved_tables] AS t WHERE t.[table_no] > @table_no ORDER BY t.[table_no];
            IF @@ROWCOUNT = 0
                BREAK;
            EXEC [mergeguard].[read_held] @table_no = @table_no, @old_root = @old_root, @new_root = @new_root;
        END;
        SET @more = 0;
        IF @preview = 0 OR @lock_only = 1
            EXEC [mergeguard].[share_roots] @old_root = @old_root, @new_root = @new_root, @roots = @lock_only, @more = @more OUTPUT;
        IF @lock_only = 1
            RETURN;
    END;
    SET @table_no = 0;
    WHILE 1 = 1
    BEGIN
        SELECT TOP (1) @table_no = h.[table_no] FROM #held AS h WHERE h.[table_no] > @table_no ORDER BY h.[table_no];
        IF @@ROWCOUNT = 0
            BREAK;
        EXEC [mergeguard].[survive_table] @table_no = @table_no;
        IF @preview = 0
            EXEC [mergeguard].[write_moves] @table_no = @table_no, @old_root = @old_root, @new_root = @new_root, @run_id = @run_id;
    END;
    IF @preview = 0
        EXEC [mergeguard].[clear_hashes] @old_root = @old_root, @run_id = @run_id, @cleared = @cleared OUTPUT;
    SELECT @moved = COUNT(*) FROM #held AS h WHERE h.[fate] = 'changed';

    SET @name = N'';
    WHILE 1 = 1
    BEGIN
        SET @json = NULL;
        SELECT TOP (1) @name = s.[name], @rows = s.[rows], @json = CONCAT(N'{"rows":', s.[rows], N',"changed":', s.[changed], N',"dropped":', s.[dropped],
            N',"collapsed":', s.[collapsed], N',"outnumbered":', s.[outnumbered], N',"replaced":', s.[replaced], N'}')
        FROM (
            SELECT CONCAT(t.[table_name], N'.', m.[column_name]) AS [name],
                SUM(CASE WHEN h.[stale] = 1 AND h.[outdated] <> 1 THEN 1 ELSE 0 END) AS [rows],
                SUM(CASE WHEN h.[fate] = 'changed' THEN 1 ELSE 0 END) AS [changed],
                SUM(CASE WHEN h.[fate] = 'dropped' THEN 1 ELSE 0 END) AS [dropped],
                SUM(CASE WHEN h.[fate] = 'collapsed' THEN 1 ELSE 0 END) AS [collapsed],
                SUM(CASE WHEN h.[fate] = 'outnumbered' THEN 1 ELSE 0 END) AS [outnumbered],
                SUM(CASE WHEN h.[fate] = 'replaced' AND m.[column_name] COLLATE Latin1_General_BIN2 = f.[column_name] THEN 1 ELSE 0 END) AS [replaced]
            FROM [mergeguard].[moved_columns] AS m
            JOIN [mergeguard].[moved_tables] AS t ON t.[table_no] = m.[table_no]
            JOIN #held AS h ON h.[table_no] = m.[table_no]
            JOIN (
                SELECT q.[table_no], MIN(q.[column_name] COLLATE Latin1_General_BIN2) AS [column_name] FROM [mergeguard].[moved_columns] AS q
                WHERE q.[moves] = 1 AND (EXISTS (
                    SELECT 1 FROM #held AS g WHERE g.[table_no] = q.[table_no] AND g.[outdated] <> 1
                        AND CHARINDEX(QUOTENAME(q.[column_name]), g.[stale_columns]) > 0
                ) OR (EXISTS (
                    SELECT 1 FROM [mergeguard].[moved_tables] AS w WHERE w.[table_no] = q.[table_no] AND w.[sets_name] = q.[column_name]
                ) AND NOT EXISTS (
                    SELECT 1 FROM #held AS g WHERE g.[table_no] = q.[table_no] AND g.[outdated] <> 1 AND g.[stale] = 1
                )))
                GROUP BY q.[table_no]
            ) AS f ON f.[table_no] = m.[table_no]
            WHERE m.[moves] = 1
                AND (CHARINDEX(QUOTENAME(m.[column_name]), h.[stale_columns]) > 0 
                    OR (h.[fate] = 'replaced' AND m.[column_name] COLLATE Latin1_General_BIN2 = f.[column_name]))
            GROUP BY t.[table_name], m.[column_name]
        ) AS s
        WHERE s.[rows] + s.[replaced] > 0 AND s.[name] COLLATE Latin1_General_BIN2 > @name COLLATE Latin1_General_BIN2
        ORDER BY s.[name] COLLATE Latin1_General_BIN2;
        IF @json IS NULL
            BREAK;
        SET @columns = @columns + @comma + [mergeguard].[json_text](@name) + N':' + @json;
        SET @evidence = @evidence + @comma + [mergeguard].[json_text](@name) + N':' + CONVERT(nvarchar(20), @rows);
        SET @comma = N',';
    END;
    SELECT @columns = N'{' + @columns + N'}', @evidence = N'{"columns":{' + @evidence + N'}}';
END;
GO
