-- MergeGuard SQL scripts, version 1: mssql/20_images.sql
-- Rows as the journal keeps them: a JSON object of texts, letter for letter as MergeGuard's programs write it.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[mergeguard].[step_digest]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[step_digest] () RETURNS int AS BEGIN RETURN 0; END');
GO
IF OBJECT_ID(N'[mergeguard].[image_expression]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[image_expression] () RETURNS int AS BEGIN RETURN 0; END');
GO
IF OBJECT_ID(N'[mergeguard].[image_columns]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[image_columns] () RETURNS TABLE AS RETURN SELECT 1 AS [one]');
GO
IF OBJECT_ID(N'[mergeguard].[json_cells]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[json_cells] () RETURNS @way TABLE ([one] int) AS BEGIN RETURN; END');
GO
IF OBJECT_ID(N'[mergeguard].[json_text]') IS NULL EXEC (N'CREATE FUNCTION [mergeguard].[json_text] () RETURNS int AS BEGIN RETURN 0; END');
GO
IF OBJECT_ID(N'[mergeguard].[put_back]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[put_back] AS RETURN');
GO

-- A text as JSON of ASCII letters; null for NULL. One that is not well-formed UTF-16, or that holds NUL, becomes a NUL
-- and the hex of its bytes.
ALTER FUNCTION [mergeguard].[json_text] (@text nvarchar(max))
RETURNS nvarchar(max)
AS
BEGIN
    IF @text IS NULL
        RETURN N'null';
    IF @text COLLATE Latin1_General_BIN2 NOT LIKE N'%[^ -~]%'
        RETURN N'"' + REPLACE(REPLACE(@text COLLATE Latin1_General_BIN2, N'\', N'\\'), N'"', N'\"') + N'"';
    DECLARE @bytes varbinary(max) = CONVERT(varbinary(max), @text);
    DECLARE @size bigint = DATALENGTH(@bytes), @at bigint = 1, @code int, @open bit = 0, @wild bit = 0;
    DECLARE @json nvarchar(max) = N'"';
    WHILE @at < @size
    BEGIN
        SET @code = CONVERT(int, SUBSTRING(@bytes, @at + 1, 1)) * 256 + CONVERT(int, SUBSTRING(@bytes, @at, 1));
        IF @code = 0 OR (@open = 1 AND NOT @code BETWEEN 56320 AND 57343) OR (@open = 0 AND @code BETWEEN 56320 AND 57343)
            SET @wild = 1;
        SET @open = CASE WHEN @code BETWEEN 55296 AND 56319 THEN 1 ELSE 0 END;
        SET @json = @json + CASE
            WHEN @code = 34 THEN N'\"'
            WHEN @code = 92 THEN N'\\'
            WHEN @code = 8 THEN N'\b'
            WHEN @code = 9 THEN N'\t'
            WHEN @code = 10 THEN N'\n'
            WHEN @code = 12 THEN N'\f'
            WHEN @code = 13 THEN N'\r'
            WHEN @code BETWEEN 32 AND 126 THEN NCHAR(@code)
            ELSE N'\u' + LOWER(CONVERT(nchar(4), CONVERT(binary(2), @code), 2)) END;
        SET @at = @at + 2;
    END;
    IF @open = 1 OR @wild = 1
        RETURN N'"\u0000' + LOWER(CONVERT(nvarchar(max), @bytes, 2)) + N'"';
    RETURN @json + N'"';
END;
GO

-- The cells of an image. Only what was written as one is read: no blanks outside of texts, no values but texts and null.
ALTER FUNCTION [mergeguard].[json_cells] (@image nvarchar(max))
RETURNS @cells TABLE (
    [name] nvarchar(128) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY,
    [value] nvarchar(max) COLLATE Latin1_General_BIN2 NULL
)
AS
BEGIN
    DECLARE @json nvarchar(max) = @image COLLATE Latin1_General_BIN2, @at bigint = 2, @quote bigint, @slash bigint;
    DECLARE @text nvarchar(max), @name nvarchar(max), @letter nchar(1), @done bit;
    WHILE SUBSTRING(@json, @at, 1) = N'"' OR (@name IS NOT NULL AND SUBSTRING(@json, @at, 4) = N'null')
    BEGIN
        SET @text = NULL;
        IF SUBSTRING(@json, @at, 1) = N'"'
        BEGIN
            SELECT @text = N'', @at = @at + 1, @done = 0;
            WHILE @done = 0
            BEGIN
                SELECT @quote = CHARINDEX(N'"', @json, @at), @slash = CHARINDEX(N'\', @json, @at);
                IF @quote = 0
                    RETURN;
                IF @slash = 0 OR @slash > @quote
                    SELECT @text = @text + SUBSTRING(@json, @at, @quote - @at), @at = @quote + 1, @done = 1;
                ELSE
                BEGIN
                    SELECT @text = @text + SUBSTRING(@json, @at, @slash - @at), @letter = SUBSTRING(@json, @slash + 1, 1);
                    IF @letter = N'u' COLLATE Latin1_General_BIN2
                        -- The digits are those of the number, the bytes of a letter stand the other way round.
                        SELECT @text = @text + CONVERT(nchar(1), CONVERT(binary(2),
                                SUBSTRING(@json, @slash + 4, 2) + SUBSTRING(@json, @slash + 2, 2), 2)),
                            @at = @slash + 6;
                    ELSE
                        SELECT @text = @text + CASE @letter COLLATE Latin1_General_BIN2
                                WHEN N'b' THEN NCHAR(8)
                                WHEN N't' THEN NCHAR(9)
                                WHEN N'n' THEN NCHAR(10)
                                WHEN N'f' THEN NCHAR(12)
                                WHEN N'r' THEN NCHAR(13)
                                ELSE @letter END,
                            @at = @slash + 2;
                END;
            END;
        END
        ELSE
            SET @at = @at + 4;
        IF @name IS NULL
            SET @name = @text;
        ELSE
        BEGIN
            INSERT INTO @cells ([name], [value]) VALUES (@name, @text);
            SET @name = NULL;
        END;
        -- The colon, the comma, or the brace.
        SET @at = @at + 1;
    END;
    RETURN;
END;
GO

-- The columns that an image holds, in its order: the text of each value, and the way back from a text in c.[value].
-- [cell] is NULL for a type that no text gives back as it was.
ALTER FUNCTION [mergeguard].[image_columns] (@table int)
RETURNS TABLE AS RETURN
SELECT
    c.[column_id],
    -- In a contained database the catalogue has a collation of its own.
    c.[name] COLLATE DATABASE_DEFAULT AS [name],
    QUOTENAME(c.[name]) AS [quoted],
    c.[is_identity],
    CASE
        WHEN b.[base] IN (N'char', N'varchar', N'nchar', N'nvarchar', N'text', N'ntext', N'xml')
            THEN N'[mergeguard].[json_text](CONVERT(nvarchar(max), t.' + QUOTENAME(c.[name]) + N'))'
        WHEN b.[base] IN (N'binary', N'varbinary', N'image', N'hierarchyid', N'geometry', N'geography')
            THEN N'N''"'' + CONVERT(nvarchar(max), CONVERT(varbinary(max), t.' + QUOTENAME(c.[name]) + N'), 1) + N''"'''
        WHEN s.[style] IS NOT NULL
            THEN N'N''"'' + CONVERT(nvarchar(64), t.' + QUOTENAME(c.[name]) + N', ' + s.[style] + N') + N''"'''
        WHEN b.[base] IN (N'bit', N'tinyint', N'smallint', N'int', N'bigint', N'decimal', N'numeric', N'uniqueidentifier')
            THEN N'N''"'' + CONVERT(nvarchar(64), t.' + QUOTENAME(c.[name]) + N') + N''"'''
    END AS [cell],
    CASE
        WHEN b.[base] IN (N'nchar', N'nvarchar', N'ntext')
            THEN N'CONVERT(' + f.[full_type] + N', ' + w.[whole] + N')'
        WHEN b.[base] IN (N'char', N'varchar', N'text')
            THEN N'CONVERT(' + f.[full_type] + N', ' + w.[whole] + N' COLLATE ' + c.[collation_name] + N')'
        WHEN b.[base] IN (N'binary', N'varbinary') THEN N'CONVERT(' + f.[full_type] + N', c.[value], 1)'
        WHEN b.[base] = N'image' THEN N'CONVERT(varbinary(max), c.[value], 1)'
        WHEN b.[base] IN (N'hierarchyid', N'geometry', N'geography')
            THEN N'CAST(CONVERT(varbinary(max), c.[value], 1) AS ' + b.[base] + N')'
        WHEN b.[base] = N'xml' THEN N'CONVERT(xml, c.[value], 1)'
        ELSE N'CONVERT(' + f.[full_type] + N', c.[value]' + COALESCE(N', ' + s.[style], N'') + N')'
    END AS [value]
FROM sys.columns AS c
CROSS APPLY (
    SELECT CASE WHEN c.[system_type_id] = 240 THEN TYPE_NAME(c.[user_type_id]) ELSE TYPE_NAME(c.[system_type_id]) END AS [base]
) AS b
CROSS APPLY (
    -- 126 is the one style of the old types that no language setting can turn.
    SELECT CASE
        WHEN b.[base] IN (N'float', N'real') THEN N'3'
        WHEN b.[base] IN (N'money', N'smallmoney') THEN N'2'
        WHEN b.[base] = N'date' THEN N'23'
        WHEN b.[base] IN (N'time', N'datetime2', N'datetimeoffset') THEN N'121'
        WHEN b.[base] IN (N'datetime', N'smalldatetime') THEN N'126'
    END AS [style]
) AS s
CROSS APPLY (
    SELECT N'CASE WHEN UNICODE(c.[value]) = 0 '
        + N'THEN CONVERT(nvarchar(max), CONVERT(varbinary(max), SUBSTRING(c.[value], 2, DATALENGTH(c.[value])), 2)) '
        + N'ELSE c.[value] END' AS [whole]
) AS w
CROSS APPLY (
    SELECT b.[base] + CASE
        WHEN b.[base] IN (N'decimal', N'numeric')
            THEN N'(' + CONVERT(nvarchar(10), c.[precision]) + N',' + CONVERT(nvarchar(10), c.[scale]) + N')'
        WHEN b.[base] IN (N'time', N'datetime2', N'datetimeoffset') THEN N'(' + CONVERT(nvarchar(10), c.[scale]) + N')'
        WHEN b.[base] = N'float' THEN N'(' + CONVERT(nvarchar(10), c.[precision]) + N')'
        WHEN b.[base] IN (N'char', N'varchar', N'nchar', N'nvarchar', N'binary', N'varbinary') AND c.[max_length] = -1
            THEN N'(max)'
        WHEN b.[base] IN (N'nchar', N'nvarchar') THEN N'(' + CONVERT(nvarchar(10), c.[max_length] / 2) + N')'
        WHEN b.[base] IN (N'char', N'varchar', N'binary', N'varbinary') THEN N'(' + CONVERT(nvarchar(10), c.[max_length]) + N')'
        ELSE N''
    END AS [full_type_of_base]
) AS p
CROSS APPLY (
    SELECT CASE b.[base] WHEN N'text' THEN N'varchar(max)' WHEN N'ntext' THEN N'nvarchar(max)'
        ELSE p.[full_type_of_base] END AS [full_type]
) AS f
WHERE c.[object_id] = @table
    AND c.[is_computed] = 0
    AND b.[base] NOT IN (N'timestamp', N'rowversion')
    AND COALESCE(COLUMNPROPERTY(c.[object_id], c.[name], 'GeneratedAlwaysType'), 0) = 0;
GO

-- The expression of the image of a row, called t. NULL where there is no such table, or where a column has a type
-- that cannot be kept exactly.
ALTER FUNCTION [mergeguard].[image_expression] (@table int)
RETURNS nvarchar(max)
AS
BEGIN
    DECLARE @text nvarchar(max) = N'CONVERT(nvarchar(max), N''{'')', @comma nvarchar(1) = N'', @at int = 0;
    DECLARE @name sysname, @cell nvarchar(max), @found int = 1;
    WHILE @found = 1
    BEGIN
        SELECT TOP (1) @at = c.[column_id], @name = c.[name], @cell = c.[cell]
        FROM [mergeguard].[image_columns](@table) AS c WHERE c.[column_id] > @at ORDER BY c.[column_id];
        SET @found = @@ROWCOUNT;
        IF @found = 1
        BEGIN
            IF @cell IS NULL
                RETURN NULL;
            SET @text = @text + N' + N''' + @comma + REPLACE([mergeguard].[json_text](@name), N'''', N'''''')
                + N':'' + COALESCE(' + @cell + N', N''null'')';
            SET @comma = N',';
        END;
    END;
    IF @comma = N''
        RETURN NULL;
    RETURN @text + N' + N''}''';
END;
GO

-- The SHA-256 of all that an undo relies on, as the programs work it out.
ALTER FUNCTION [mergeguard].[step_digest] (@run_id nvarchar(32), @step int)
RETURNS nvarchar(64)
AS
BEGIN
    DECLARE @text nvarchar(max), @place int = -1, @change nvarchar(max), @found int = 1;
    SELECT @text = CONVERT(nvarchar(max), N'[') + [mergeguard].[json_text](s.[run_id])
        + N',' + CONVERT(nvarchar(20), s.[step])
        + N',' + [mergeguard].[json_text](s.[component])
        + N',' + [mergeguard].[json_text](s.[kinds])
        + N',' + [mergeguard].[json_text](s.[members])
        + N',' + [mergeguard].[json_text](s.[survivor])
        + N',' + [mergeguard].[json_text](s.[confidence])
        + N',' + [mergeguard].[json_text](s.[guard_after]) + N']'
    FROM [mergeguard].[journal_steps] AS s WHERE s.[run_id] = @run_id AND s.[step] = @step;
    WHILE @found = 1
    BEGIN
        SELECT TOP (1) @place = c.[place], @change = CONVERT(nvarchar(max), N'[') + CONVERT(nvarchar(20), c.[place])
            + N',' + [mergeguard].[json_text](c.[action])
            + N',' + [mergeguard].[json_text](c.[table_name])
            + N',' + [mergeguard].[json_text](c.[before_image])
            + N',' + [mergeguard].[json_text](c.[after_image]) + N']'
        FROM [mergeguard].[journal_changes] AS c
        WHERE c.[run_id] = @run_id AND c.[step] = @step AND c.[place] > @place ORDER BY c.[place];
        SET @found = @@ROWCOUNT;
        IF @found = 1
            SET @text = @text + @change;
    END;
    RETURN LOWER(CONVERT(nvarchar(64), HASHBYTES('SHA2_256', CONVERT(varchar(max), @text)), 2));
END;
GO

-- Puts a row back as its image has it, ids included; the row must not be there.
ALTER PROCEDURE [mergeguard].[put_back]
    @table int,
    @rows_name nvarchar(600),
    @guid_name sysname,
    @guid uniqueidentifier,
    @image nvarchar(max)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DECLARE @names nvarchar(max) = N'', @values nvarchar(max) = N'', @comma nvarchar(2) = N'', @at int = 0, @found int = 1;
    DECLARE @name sysname, @quoted nvarchar(300), @value nvarchar(max), @identity bit, @any_identity bit = 0;
    DECLARE @columns int = 0, @cells int, @full nvarchar(600), @sql nvarchar(max), @written int;
    WHILE @found = 1
    BEGIN
        SELECT TOP (1) @at = c.[column_id], @name = c.[name], @quoted = c.[quoted], @value = c.[value], @identity = c.[is_identity]
        FROM [mergeguard].[image_columns](@table) AS c WHERE c.[column_id] > @at ORDER BY c.[column_id];
        SET @found = @@ROWCOUNT;
        IF @found = 1
        BEGIN
            IF @identity = 1
                SET @any_identity = 1;
            SET @names = @names + @comma + @quoted;
            SET @values = @values + @comma + N'(SELECT ' + @value + N' FROM @cells AS c WHERE c.[name] = N'''
                + REPLACE(@name, N'''', N'''''') + N''')';
            SELECT @comma = N', ', @columns = @columns + 1;
        END;
    END;
    SELECT @cells = COUNT(*) FROM [mergeguard].[json_cells](@image);
    IF @cells <> @columns
        THROW 51942, N'mergeguard: stale: the table has other columns than when the row was taken out; nothing was changed', 1;
    SET @full = QUOTENAME(OBJECT_SCHEMA_NAME(@table)) + N'.' + QUOTENAME(OBJECT_NAME(@table));
    SET @sql = N'DECLARE @cells TABLE ([name] nvarchar(128) COLLATE Latin1_General_BIN2 NOT NULL PRIMARY KEY, '
        + N'[value] nvarchar(max) COLLATE Latin1_General_BIN2 NULL);
INSERT INTO @cells ([name], [value]) SELECT j.[name], j.[value] FROM [mergeguard].[json_cells](@image) AS j;
' + CASE WHEN @any_identity = 1 THEN N'SET IDENTITY_INSERT ' + @full + N' ON;
' ELSE N'' END + N'INSERT INTO ' + @full + N' (' + @names + N') VALUES (' + @values + N');
SET @written = @@ROWCOUNT;
' + CASE WHEN @any_identity = 1 THEN N'SET IDENTITY_INSERT ' + @full + N' OFF;
' ELSE N'' END + N'SELECT @written = CASE WHEN @written = 1 THEN COUNT(*) ELSE -1 END FROM ' + @rows_name + N' AS t WHERE t.'
        + QUOTENAME(@guid_name) + N' = @guid AND ' + [mergeguard].[image_expression](@table) + N' COLLATE Latin1_General_BIN2 = @image;';
    EXEC sys.sp_executesql @sql, N'@image nvarchar(max), @guid uniqueidentifier, @written int OUTPUT',
        @image = @image, @guid = @guid, @written = @written OUTPUT;
    IF COALESCE(@written, 0) < 1
        THROW 51943, N'mergeguard: write: the database stored something else than the row that was put back; is there a trigger?', 1;
END;
GO
