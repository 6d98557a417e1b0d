-- MergeGuard SQL scripts, version 1: mssql/00_names.sql
-- The vendor's names, our tables where they are missing, and the views through which all other files see both.
--
-- EDIT THIS FILE. It names the tables of the reference schema, which are not yours. What stands between two marks,
-- comments that begin or end with a brace, is yours to change, and nothing else is; 'mergeguard sql show' does it from a
-- profile.
-- Names stand in brackets with their schema, and as texts in N'...' where a mark ends in _name or _text.
-- What you do not have: a query for it ends in WHERE 1 = 0, its flag in [declared] becomes 0.
-- Run it again after each change, and after the vendor has added a column to one of these tables.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF SCHEMA_ID(N'mergeguard') IS NULL
    EXEC (N'CREATE SCHEMA [mergeguard] AUTHORIZATION [dbo]');
GO

-- Our tables, exactly as MergeGuard's programs make them: whichever of the two comes first.

IF OBJECT_ID(/*{lookup_text*/N'[dbo].[mergeguard_lookup]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{lookup_table*/[dbo].[mergeguard_lookup]/*}*/ (
        /*{lookup_old*/[old_guid]/*}*/ /*{guid_type*/uniqueidentifier/*}*/ NOT NULL PRIMARY KEY,
        /*{lookup_current*/[current_guid]/*}*/ /*{guid_type*/uniqueidentifier/*}*/ NULL,
        /*{lookup_depth*/[depth]/*}*/ int NULL,
        /*{lookup_status*/[status]/*}*/ varchar(16) NOT NULL
    );
GO

-- By it the class of a guid is found.
IF INDEXPROPERTY(OBJECT_ID(/*{lookup_text*/N'[dbo].[mergeguard_lookup]'/*}*/), /*{lookup_index_name*/N'IX_mergeguard_lookup_current_guid'/*}*/, 'IndexID') IS NULL
    CREATE INDEX /*{lookup_index*/[IX_mergeguard_lookup_current_guid]/*}*/
        ON /*{lookup_table*/[dbo].[mergeguard_lookup]/*}*/ (/*{lookup_current*/[current_guid]/*}*/);
GO

IF OBJECT_ID(/*{roots_text*/N'[dbo].[mergeguard_root]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{roots_table*/[dbo].[mergeguard_root]/*}*/ (
        [guid] /*{guid_type*/uniqueidentifier/*}*/ NOT NULL PRIMARY KEY,
        [turn] bigint NOT NULL
    );
GO

IF OBJECT_ID(/*{never_text*/N'[dbo].[mergeguard_never]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{never_table*/[dbo].[mergeguard_never]/*}*/ (
        [one_guid] /*{guid_type*/uniqueidentifier/*}*/ NOT NULL,
        [other_guid] /*{guid_type*/uniqueidentifier/*}*/ NOT NULL,
        [who] nvarchar(max) NULL,
        [why] nvarchar(max) NULL,
        PRIMARY KEY ([one_guid], [other_guid])
    );
GO

IF OBJECT_ID(/*{requests_text*/N'[dbo].[mergeguard_request]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{requests_table*/[dbo].[mergeguard_request]/*}*/ (
        [request_id] nvarchar(64) NOT NULL PRIMARY KEY,
        [run_id] nvarchar(32) NOT NULL,
        [answer] nvarchar(max) NOT NULL
    );
GO

IF OBJECT_ID(/*{runs_text*/N'[dbo].[mergeguard_run]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{runs_table*/[dbo].[mergeguard_run]/*}*/ (
        [run_id] nvarchar(32) NOT NULL PRIMARY KEY,
        [kind] nvarchar(64) NOT NULL,
        [who] nvarchar(max) NOT NULL,
        [tool_version] nvarchar(64) NOT NULL,
        [started] datetime2(3) NOT NULL,
        [reason] nvarchar(max) NOT NULL,
        [finished] datetime2(3) NULL,
        [undoes] nvarchar(32) NULL
    );
GO

IF OBJECT_ID(/*{steps_text*/N'[dbo].[mergeguard_step]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{steps_table*/[dbo].[mergeguard_step]/*}*/ (
        [run_id] nvarchar(32) NOT NULL,
        [step] int NOT NULL,
        [component] nvarchar(600) NOT NULL,
        [kinds] nvarchar(max) NOT NULL,
        [members] nvarchar(max) NOT NULL,
        [confidence] nvarchar(64) NOT NULL,
        [why] nvarchar(max) NOT NULL,
        [guard_after] nvarchar(max) NOT NULL,
        [evidence] nvarchar(max) NOT NULL,
        [happened] datetime2(3) NOT NULL,
        [digest] nvarchar(64) NOT NULL,
        [survivor] nvarchar(64) NULL,
        [undone_by] nvarchar(32) NULL,
        PRIMARY KEY ([run_id], [step])
    );
GO

IF OBJECT_ID(/*{changes_text*/N'[dbo].[mergeguard_change]'/*}*/, N'U') IS NULL
    CREATE TABLE /*{changes_table*/[dbo].[mergeguard_change]/*}*/ (
        [run_id] nvarchar(32) NOT NULL,
        [step] int NOT NULL,
        [place] int NOT NULL,
        [action] nvarchar(64) NOT NULL,
        [table_name] nvarchar(600) NOT NULL,
        [before_image] nvarchar(max) NULL,
        [after_image] nvarchar(max) NULL,
        PRIMARY KEY ([run_id], [step], [place])
    );
GO

-- The tables that a merge writes: the one of merges, and the one of live guids, if liveness is a table.

IF OBJECT_ID(N'[mergeguard].[merge_table]', N'SN') IS NOT NULL DROP SYNONYM [mergeguard].[merge_table];
GO
CREATE SYNONYM [mergeguard].[merge_table] FOR /*{merge_table*/[dbo].[ResourceMerge]/*}*/;
GO

-- Where liveness is no table, the synonym may name anything that does not exist.
IF OBJECT_ID(N'[mergeguard].[live_table]', N'SN') IS NOT NULL DROP SYNONYM [mergeguard].[live_table];
GO
CREATE SYNONYM [mergeguard].[live_table] FOR /*{live_table*/[dbo].[ItemResource]/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[written_tables]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[written_tables] AS SELECT 1 AS [one]');
GO
-- The same names as texts. [table_name] is how the journal calls a table: as the profile does.
ALTER VIEW [mergeguard].[written_tables] AS
SELECT
    N'merge' AS [part],
    N'[mergeguard].[merge_table]' AS [rows_name],
    /*{merge_name*/N'ResourceMerge'/*}*/ AS [table_name],
    /*{old_name*/N'OldGuid'/*}*/ AS [guid_name],
    /*{new_name*/N'NewGuid'/*}*/ AS [new_name]
UNION ALL
SELECT
    N'live',
    N'[mergeguard].[live_rows]',
    /*{live_name*/N'ItemResource'/*}*/,
    /*{live_guid_name*/N'Guid'/*}*/,
    NULL
WHERE 1 = /*{live_written*/1/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[live_rows]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[live_rows] AS SELECT 1 AS [one]');
GO
-- The rows by which a guid is live, whole: a merge takes that of the old root out.
ALTER VIEW [mergeguard].[live_rows] AS
/*{live_rows*/SELECT * FROM [dbo].[ItemResource] AS l/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[put_merge]', N'P') IS NULL EXEC (N'CREATE PROCEDURE [mergeguard].[put_merge] AS RETURN');
GO
-- Writes one row into the merge table. Only merge_guids calls it, and has looked before.
ALTER PROCEDURE [mergeguard].[put_merge] @old_root uniqueidentifier, @new_root uniqueidentifier, @merge_key nvarchar(4000)
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    IF @merge_key IS NOT NULL AND 0 = /*{has_key*/1/*}*/
        THROW 51926, N'mergeguard: usage: no column for the key is named in 00_names.sql', 1;
    IF @merge_key IS NULL
        INSERT INTO [mergeguard].[merge_table] (/*{put_columns*/[OldGuid], [NewGuid], [MergedAt]/*}*/)
        VALUES (/*{put_values*/@old_root, @new_root, SYSUTCDATETIME()/*}*/);
    ELSE
        INSERT INTO [mergeguard].[merge_table] (/*{key_columns*/[OldGuid], [NewGuid], [MergedAt], [MergeKey]/*}*/)
        VALUES (/*{key_values*/@old_root, @new_root, SYSUTCDATETIME(), @merge_key/*}*/);
END;
GO

-- What everything else reads. The columns never change their names.

IF OBJECT_ID(N'[mergeguard].[merge_rows]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[merge_rows] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[merge_rows] AS
SELECT
    /*{row_id*/CONVERT(nvarchar(200), m.[Id])/*}*/ AS [row_id],
    /*{old_guid*/m.[OldGuid]/*}*/ AS [old_guid],
    /*{new_guid*/m.[NewGuid]/*}*/ AS [new_guid],
    /*{old_text*/CONVERT(nvarchar(400), m.[OldGuid])/*}*/ AS [old_text],
    /*{new_text*/CONVERT(nvarchar(400), m.[NewGuid])/*}*/ AS [new_text],
    /*{merged_at*/CONVERT(datetime2(7), m.[MergedAt])/*}*/ AS [merged_at]
FROM [mergeguard].[merge_table] AS m;
GO

IF OBJECT_ID(N'[mergeguard].[live_guids]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[live_guids] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[live_guids] AS
/*{live_guids*/SELECT l.[Guid] AS [guid] FROM [dbo].[ItemResource] AS l WHERE l.[Guid] IS NOT NULL/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[guid_types]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[guid_types] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[guid_types] AS
/*{guid_types*/SELECT t.[Guid] AS [guid], LOWER(CONVERT(nvarchar(400), t.[ResourceTypeGuid])) AS [type] FROM [dbo].[Item] AS t WHERE t.[Guid] IS NOT NULL/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[reference_guids]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[reference_guids] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[reference_guids] AS
/*{reference_guids*/SELECT N'ResourceKey.ResourceGuid' AS [reference], r.[ResourceGuid] AS [guid] FROM [dbo].[ResourceKey] AS r WHERE r.[ResourceGuid] IS NOT NULL
UNION ALL SELECT N'ResourceUpdateSummary.ResourceGuid' AS [reference], r.[ResourceGuid] AS [guid] FROM [dbo].[ResourceUpdateSummary] AS r WHERE r.[ResourceGuid] IS NOT NULL
UNION ALL SELECT N'Inv_Identification._ResourceGuid' AS [reference], r.[_ResourceGuid] AS [guid] FROM [dbo].[Inv_Identification] AS r WHERE r.[_ResourceGuid] IS NOT NULL
UNION ALL SELECT N'Inv_InstalledSoftware._ResourceGuid' AS [reference], r.[_ResourceGuid] AS [guid] FROM [dbo].[Inv_InstalledSoftware] AS r WHERE r.[_ResourceGuid] IS NOT NULL
UNION ALL SELECT N'Inv_InstalledSoftware._SoftwareComponentGuid' AS [reference], r.[_SoftwareComponentGuid] AS [guid] FROM [dbo].[Inv_InstalledSoftware] AS r WHERE r.[_SoftwareComponentGuid] IS NOT NULL
UNION ALL SELECT N'Evt_Software_Execution._ResourceGuid' AS [reference], r.[_ResourceGuid] AS [guid] FROM [dbo].[Evt_Software_Execution] AS r WHERE r.[_ResourceGuid] IS NOT NULL
UNION ALL SELECT N'ResourceAssociation.ParentResourceGuid' AS [reference], r.[ParentResourceGuid] AS [guid] FROM [dbo].[ResourceAssociation] AS r WHERE r.[ParentResourceGuid] IS NOT NULL
UNION ALL SELECT N'ResourceAssociation.ChildResourceGuid' AS [reference], r.[ChildResourceGuid] AS [guid] FROM [dbo].[ResourceAssociation] AS r WHERE r.[ChildResourceGuid] IS NOT NULL/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[moving_guids]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[moving_guids] AS SELECT 1 AS [one]');
GO
-- Those that would have to be re-pointed and stand in a form that procedures cannot read: such merges are refused.
ALTER VIEW [mergeguard].[moving_guids] AS
/*{moving_guids*/SELECT CONVERT(nvarchar(400), NULL) AS [reference], CONVERT(uniqueidentifier, NULL) AS [guid] WHERE 1 = 0/*}*/;
GO

-- How rows that refer to two resources become those of one. A number stands for a table; [time_sql] tells when its row t was
-- written; [parent_name] and [type_name] are of tables of links of which there may be only so many.
IF OBJECT_ID(N'[mergeguard].[moved_tables]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[moved_tables] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[moved_tables] AS
/*{moved_tables*/SELECT CONVERT(int, v.[table_no]) AS [table_no], CONVERT(nvarchar(600), v.[table_name]) AS [table_name], CONVERT(nvarchar(600), v.[full_name]) AS [full_name], CONVERT(nvarchar(600), v.[time_sql]) AS [time_sql], CONVERT(nvarchar(600), v.[order_sql]) AS [order_sql], CONVERT(nvarchar(128), v.[sets_name]) AS [sets_name], CONVERT(nvarchar(128), v.[parent_name]) AS [parent_name], CONVERT(nvarchar(128), v.[type_name]) AS [type_name], CONVERT(uniqueidentifier, NULL) AS [data_class]
FROM (VALUES
    (1, N'ResourceUpdateSummary', N'[dbo].[ResourceUpdateSummary]', N'CONVERT(datetime2(7), t.[ModifiedDate])', N'CONVERT(bigint, t.[LastEventId])', NULL, NULL, NULL, NULL),
    (2, N'ResourceKey', N'[dbo].[ResourceKey]', NULL, NULL, NULL, NULL, NULL, NULL),
    (3, N'Inv_Identification', N'[dbo].[Inv_Identification]', NULL, NULL, N'_ResourceGuid', NULL, NULL, NULL),
    (4, N'Inv_InstalledSoftware', N'[dbo].[Inv_InstalledSoftware]', NULL, NULL, N'_ResourceGuid', NULL, NULL, NULL),
    (5, N'Evt_Software_Execution', N'[dbo].[Evt_Software_Execution]', NULL, NULL, NULL, NULL, NULL, NULL),
    (6, N'ResourceAssociation', N'[dbo].[ResourceAssociation]', N'CONVERT(datetime2(7), t.[CreatedDate])', N'CONVERT(bigint, t.[EventId])', NULL, N'ParentResourceGuid', N'ResourceAssociationTypeGuid', NULL)
) AS v ([table_no], [table_name], [full_name], [time_sql], [order_sql], [sets_name], [parent_name], [type_name], [data_class])/*}*/;
GO

-- Columns: re-pointed, compared as guids, set to NULL where the row is re-pointed, or only naming the row.
IF OBJECT_ID(N'[mergeguard].[moved_columns]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[moved_columns] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[moved_columns] AS
/*{moved_columns*/SELECT CONVERT(int, v.[table_no]) AS [table_no], CONVERT(nvarchar(128), v.[column_name]) AS [column_name], CONVERT(bit, v.[moves]) AS [moves], CONVERT(bit, v.[is_guid]) AS [is_guid], CONVERT(bit, v.[cleared]) AS [cleared], CONVERT(bit, v.[names]) AS [names]
FROM (VALUES
    (1, N'ResourceGuid', 1, 1, 0, 0),
    (1, N'DataHash', 0, 0, 1, 0),
    (2, N'ResourceGuid', 1, 1, 0, 0),
    (3, N'_ResourceGuid', 1, 1, 0, 0),
    (3, N'_id', 0, 0, 0, 1),
    (4, N'_ResourceGuid', 1, 1, 0, 0),
    (4, N'_SoftwareComponentGuid', 1, 1, 0, 0),
    (4, N'_id', 0, 0, 0, 1),
    (5, N'_ResourceGuid', 1, 1, 0, 0),
    (5, N'_id', 0, 0, 0, 1),
    (6, N'ParentResourceGuid', 1, 1, 0, 0),
    (6, N'ChildResourceGuid', 1, 1, 0, 0),
    (6, N'ResourceAssociationTypeGuid', 0, 1, 0, 0)
) AS v ([table_no], [column_name], [moves], [is_guid], [cleared], [names])/*}*/;
GO

-- Sets of columns of which no two rows may be equal.
IF OBJECT_ID(N'[mergeguard].[moved_unique]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[moved_unique] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[moved_unique] AS
/*{moved_unique*/SELECT CONVERT(int, v.[table_no]) AS [table_no], CONVERT(int, v.[unique_no]) AS [unique_no], CONVERT(int, v.[place]) AS [place], CONVERT(nvarchar(128), v.[column_name]) AS [column_name]
FROM (VALUES
    (1, 1, 1, N'InventoryClassGuid'),
    (1, 1, 2, N'ResourceGuid'),
    (2, 1, 1, N'ResourceGuid'),
    (2, 1, 2, N'KeyName'),
    (2, 1, 3, N'KeyValue'),
    (3, 1, 1, N'_ResourceGuid'),
    (4, 1, 1, N'_ResourceGuid'),
    (4, 1, 2, N'_SoftwareComponentGuid'),
    (4, 1, 3, N'InstallFlag'),
    (6, 1, 1, N'ResourceAssociationTypeGuid'),
    (6, 1, 2, N'ParentResourceGuid'),
    (6, 1, 3, N'ChildResourceGuid')
) AS v ([table_no], [unique_no], [place], [column_name])/*}*/;
GO

-- Both ends of links: a row must not begin to link a guid with itself.
IF OBJECT_ID(N'[mergeguard].[moved_ends]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[moved_ends] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[moved_ends] AS
/*{moved_ends*/SELECT CONVERT(int, v.[table_no]) AS [table_no], CONVERT(nvarchar(128), v.[parent_name]) AS [parent_name], CONVERT(nvarchar(128), v.[child_name]) AS [child_name]
FROM (VALUES
    (6, N'ParentResourceGuid', N'ChildResourceGuid')
) AS v ([table_no], [parent_name], [child_name])/*}*/;
GO

-- Where hashes of data stand that are cleared when the data move, the classes of the tables, and how many links there may be.
IF OBJECT_ID(N'[mergeguard].[hash_table]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[hash_table] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[hash_table] AS
/*{hash_table*/SELECT CONVERT(nvarchar(600), v.[table_name]) AS [table_name], CONVERT(nvarchar(600), v.[full_name]) AS [full_name], CONVERT(nvarchar(128), v.[guid_name]) AS [guid_name], CONVERT(nvarchar(128), v.[class_name]) AS [class_name], CONVERT(nvarchar(128), v.[hash_name]) AS [hash_name], CONVERT(nvarchar(128), v.[time_name]) AS [time_name], CONVERT(nvarchar(128), v.[order_name]) AS [order_name]
FROM (VALUES
    (N'ResourceUpdateSummary', N'[dbo].[ResourceUpdateSummary]', N'ResourceGuid', N'InventoryClassGuid', N'DataHash', N'ModifiedDate', N'LastEventId')
) AS v ([table_name], [full_name], [guid_name], [class_name], [hash_name], [time_name], [order_name])/*}*/;
GO
IF OBJECT_ID(N'[mergeguard].[hash_classes]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[hash_classes] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[hash_classes] AS
/*{hash_classes*/SELECT CONVERT(nvarchar(400), k.[TableName]) COLLATE DATABASE_DEFAULT AS [name], k.[Guid] AS [class] FROM [dbo].[DataClass] AS k/*}*/;
GO
IF OBJECT_ID(N'[mergeguard].[link_maxima]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[link_maxima] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[link_maxima] AS
/*{link_maxima*/SELECT m.[Guid] AS [type], TRY_CONVERT(int, m.[MaximumCardinality]) AS [maximum] FROM [dbo].[ResourceAssociationType] AS m/*}*/;
GO

-- The table of agents whose guid was merged away: when it holds one, what is inserted, and when an agent manages it.
IF OBJECT_ID(N'[mergeguard].[black_lists]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[black_lists] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[black_lists] AS
/*{black_list*/SELECT N'AgentBlacklist' AS [table_name], N'[dbo].[AgentBlacklist]' AS [full_name], N't.[Guid] = @old_root' AS [holds], N'([Guid], [ReplacedBy], [BlacklistedAt]) VALUES (@old_root, @new_root, SYSUTCDATETIME())' AS [inserted], N'[dbo].[ItemResource]' AS [managed_name], N't.[Guid] = @old_root AND LOWER(LTRIM(RTRIM(CONVERT(nvarchar(400), t.[IsManaged])))) IN (N''1'', N''true'', N''t'', N''yes'', N''y'')' AS [managed_holds]/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[declared]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[declared] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[declared] AS
SELECT
    CONVERT(bit, /*{has_live*/1/*}*/) AS [live],
    CONVERT(bit, /*{has_types*/1/*}*/) AS [types],
    CONVERT(bit, /*{has_times*/1/*}*/) AS [times],
    CONVERT(bit, /*{has_references*/1/*}*/) AS [refs],
    CONVERT(bit, /*{has_deleted*/0/*}*/) AS [deleted],
    CONVERT(bit, /*{is_guarded*/0/*}*/) AS [guarded],
    /*{guard_trigger_text*/N'[dbo].[mergeguard_guard_check]'/*}*/ AS [guard_trigger];
GO

-- Our tables under names that never change.

IF OBJECT_ID(N'[mergeguard].[lookup_rows]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[lookup_rows] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[lookup_rows] AS
SELECT
    /*{lookup_old_guid*/l.[old_guid]/*}*/ AS [old_guid],
    /*{lookup_current_guid*/l.[current_guid]/*}*/ AS [current_guid],
    l./*{lookup_depth*/[depth]/*}*/ AS [depth],
    l./*{lookup_status*/[status]/*}*/ AS [status]
FROM /*{lookup_table*/[dbo].[mergeguard_lookup]/*}*/ AS l;
GO

IF OBJECT_ID(N'[mergeguard].[roots]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[roots] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[roots] AS
SELECT /*{root_guid*/r.[guid]/*}*/ AS [guid], r.[turn] FROM /*{roots_table*/[dbo].[mergeguard_root]/*}*/ AS r;
GO

IF OBJECT_ID(N'[mergeguard].[never_pairs]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[never_pairs] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[never_pairs] AS
SELECT /*{one_guid*/n.[one_guid]/*}*/ AS [one_guid], /*{other_guid*/n.[other_guid]/*}*/ AS [other_guid], n.[who], n.[why] FROM /*{never_table*/[dbo].[mergeguard_never]/*}*/ AS n;
GO

IF OBJECT_ID(N'[mergeguard].[never_pairs_written]', N'TR') IS NULL EXEC (N'CREATE TRIGGER [mergeguard].[never_pairs_written] ON [mergeguard].[never_pairs] INSTEAD OF INSERT, UPDATE, DELETE AS RETURN');
GO
-- Pairs are written through the view, in whatever form the table stores guids.
ALTER TRIGGER [mergeguard].[never_pairs_written] ON [mergeguard].[never_pairs] INSTEAD OF INSERT, UPDATE, DELETE
AS
BEGIN
    SET NOCOUNT ON;
    SET XACT_ABORT ON;
    DELETE n FROM /*{never_table*/[dbo].[mergeguard_never]/*}*/ AS n
    WHERE EXISTS (SELECT 1 FROM deleted AS d WHERE d.[one_guid] = /*{one_guid*/n.[one_guid]/*}*/ AND d.[other_guid] = /*{other_guid*/n.[other_guid]/*}*/);
    INSERT INTO /*{never_table*/[dbo].[mergeguard_never]/*}*/ ([one_guid], [other_guid], [who], [why])
    SELECT /*{stored_one*/i.[one_guid]/*}*/, /*{stored_other*/i.[other_guid]/*}*/, i.[who], i.[why] FROM inserted AS i;
END;
GO

IF OBJECT_ID(N'[mergeguard].[requests]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[requests] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[requests] AS
SELECT q.[request_id], q.[run_id], q.[answer] FROM /*{requests_table*/[dbo].[mergeguard_request]/*}*/ AS q;
GO

IF OBJECT_ID(N'[mergeguard].[journal_runs]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[journal_runs] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[journal_runs] AS
SELECT j.[run_id], j.[kind], j.[who], j.[tool_version], j.[started], j.[reason], j.[finished], j.[undoes]
FROM /*{runs_table*/[dbo].[mergeguard_run]/*}*/ AS j;
GO

IF OBJECT_ID(N'[mergeguard].[journal_steps]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[journal_steps] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[journal_steps] AS
SELECT j.[run_id], j.[step], j.[component], j.[kinds], j.[members], j.[confidence], j.[why], j.[guard_after], j.[evidence],
    j.[happened], j.[digest], j.[survivor], j.[undone_by]
FROM /*{steps_table*/[dbo].[mergeguard_step]/*}*/ AS j;
GO

IF OBJECT_ID(N'[mergeguard].[journal_changes]', N'V') IS NULL EXEC (N'CREATE VIEW [mergeguard].[journal_changes] AS SELECT 1 AS [one]');
GO
ALTER VIEW [mergeguard].[journal_changes] AS
SELECT j.[run_id], j.[step], j.[place], j.[action], j.[table_name], j.[before_image], j.[after_image]
FROM /*{changes_table*/[dbo].[mergeguard_change]/*}*/ AS j;
GO
