-- MergeGuard SQL scripts, version 1: mssql/80_guard.sql
-- The guard: a trigger on [dbo].[ResourceMerge] that refuses cycles, whoever writes them, and the one row that each check updates.
-- It touches the vendor's table. The same as 'mergeguard guard install'.
SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(N'[dbo].[mergeguard_guard]', N'U') IS NULL
    CREATE TABLE [dbo].[mergeguard_guard] (id int NOT NULL PRIMARY KEY, turn bigint NOT NULL)
GO

IF NOT EXISTS (SELECT 1 FROM [dbo].[mergeguard_guard] WHERE id = 1)
    INSERT INTO [dbo].[mergeguard_guard] (id, turn) VALUES (1, 0)
GO

IF OBJECT_ID(N'[dbo].[mergeguard_guard_check]', N'TR') IS NULL
    EXEC (N'CREATE TRIGGER [dbo].[mergeguard_guard_check] ON [dbo].[ResourceMerge] AFTER INSERT, UPDATE AS RETURN')
GO

ALTER TRIGGER [dbo].[mergeguard_guard_check] ON [dbo].[ResourceMerge] AFTER INSERT, UPDATE AS
-- MergeGuard guard, version 1: [dbo].[ResourceMerge], guids compared plain
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF NOT EXISTS (SELECT 1 FROM inserted)
        RETURN;
    -- A repair or an undo of MergeGuard holds the merge lock alone, and may put a damaged row back.
    -- This is no security boundary: whoever may write merges may take that lock.
    IF APPLOCK_MODE(N'public', N'mergeguard merges dbo.ResourceMerge', N'Transaction') = N'Exclusive'
        OR APPLOCK_MODE(N'public', N'mergeguard merges dbo.ResourceMerge', N'Session') = N'Exclusive'
        RETURN;
    DECLARE @words nvarchar(2048), @level int, @found int, @before int, @after int;
    DECLARE @edges TABLE (k_old uniqueidentifier NOT NULL, k_new uniqueidentifier NOT NULL, times bigint NOT NULL,
        PRIMARY KEY (k_old, k_new));
    DECLARE @left TABLE (k_old uniqueidentifier NOT NULL, k_new uniqueidentifier NOT NULL, PRIMARY KEY (k_old, k_new));
    DECLARE @walk TABLE (k uniqueidentifier NOT NULL PRIMARY KEY, level int NOT NULL,
        INDEX by_level NONCLUSTERED (level));
    -- The merges of this statement that it did not find there, each once, with the number of rows that say it.
    INSERT INTO @edges (k_old, k_new, times)
    SELECT e.k_old, e.k_new, COUNT_BIG(*)
    FROM (SELECT m.[OldGuid] AS k_old, m.[NewGuid] AS k_new FROM inserted AS m) AS e
    WHERE e.k_old IS NOT NULL AND e.k_new IS NOT NULL
    GROUP BY e.k_old, e.k_new;
    DELETE e FROM @edges AS e
    WHERE EXISTS (SELECT 1 FROM (SELECT m.[OldGuid] AS k_old, m.[NewGuid] AS k_new FROM deleted AS m) AS b
        WHERE b.k_old = e.k_old AND b.k_new = e.k_new);
    IF NOT EXISTS (SELECT 1 FROM @edges)
        RETURN;
    -- Written, not only locked: who has an older snapshot fails here, who has none waits here.
    UPDATE g SET turn = turn + 1 FROM [dbo].[mergeguard_guard] AS g WITH (UPDLOCK, HOLDLOCK, ROWLOCK) WHERE g.id = 1;
    IF @@ROWCOUNT <> 1
        THROW 51905, N'mergeguard: no-guard-row: the guard has lost its row; ''mergeguard guard install'' puts it back', 1;
    -- A merge that other rows said before adds nothing, whatever is wrong with it.
    DELETE e FROM @edges AS e
    WHERE (SELECT COUNT_BIG(*) FROM [dbo].[ResourceMerge] AS m WHERE m.[OldGuid] = e.k_old AND m.[NewGuid] = e.k_new) <> e.times;
    INSERT INTO @left (k_old, k_new) SELECT e.k_old, e.k_new FROM @edges AS e WHERE e.k_old = e.k_new;
    IF EXISTS (SELECT 1 FROM @left)
    BEGIN
        SELECT TOP (1) @words = REPLACE(CONCAT(N'mergeguard: self-merge: a guid would be merged into itself', N' (', CONVERT(nvarchar(70), k_old), N' -> ', CONVERT(nvarchar(70), k_new), N')'), N'%', N'%%') FROM @left;
        THROW 51901, @words, 1;
    END;
    INSERT INTO @left (k_old, k_new)
    SELECT e.k_old, e.k_new FROM @edges AS e
    WHERE EXISTS (SELECT 1 FROM [dbo].[ResourceMerge] AS m WHERE m.[OldGuid] = e.k_old AND m.[NewGuid] <> e.k_new);
    IF EXISTS (SELECT 1 FROM @left)
    BEGIN
        SELECT TOP (1) @words = REPLACE(CONCAT(N'mergeguard: conflict: a guid that was merged into one would be merged into another, too', N' (', CONVERT(nvarchar(70), k_old), N' -> ', CONVERT(nvarchar(70), k_new), N')'), N'%', N'%%') FROM @left;
        THROW 51902, @words, 1;
    END;
    -- A new merge stands on a cycle only if its old is reached from the new of one. Those that are not reached are left
    -- out, until none is left or all are reached: then there is a cycle, and a new merge on it.
    INSERT INTO @left (k_old, k_new) SELECT e.k_old, e.k_new FROM @edges AS e;
    SELECT @before = COUNT(*) FROM @left;
    WHILE @before > 0
    BEGIN
        DELETE FROM @walk;
        INSERT INTO @walk (k, level) SELECT DISTINCT l.k_new, 0 FROM @left AS l;
        SELECT @found = @@ROWCOUNT, @level = 0;
        WHILE @found > 0
        BEGIN
            INSERT INTO @walk (k, level)
            SELECT DISTINCT s.k, @level + 1
            FROM (SELECT m.[NewGuid] AS k FROM @walk AS w JOIN [dbo].[ResourceMerge] AS m ON m.[OldGuid] = w.k WHERE w.level = @level) AS s
            WHERE s.k IS NOT NULL AND NOT EXISTS (SELECT 1 FROM @walk AS seen WHERE seen.k = s.k);
            SELECT @found = @@ROWCOUNT, @level = @level + 1;
        END;
        DELETE l FROM @left AS l WHERE NOT EXISTS (SELECT 1 FROM @walk AS seen WHERE seen.k = l.k_old);
        SELECT @after = COUNT(*) FROM @left;
        IF @after = @before
    BEGIN
        SELECT TOP (1) @words = REPLACE(CONCAT(N'mergeguard: cycle: merges would lead back to where they began', N' (', CONVERT(nvarchar(70), k_old), N' -> ', CONVERT(nvarchar(70), k_new), N')'), N'%', N'%%') FROM @left;
        THROW 51903, @words, 1;
    END;
        SET @before = @after;
    END;
END

GO

ENABLE TRIGGER [dbo].[mergeguard_guard_check] ON [dbo].[ResourceMerge]
GO
