-- MergeGuard SQL scripts, version 1: mssql/99_uninstall.sql
-- Takes away what 00 to 98 made, the guard and the roles too, and nothing else. Our tables hold data and stay, and so
-- does the job of the agent: agent_job_uninstall.sql.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(/*{guard_trigger_text*/N'[dbo].[mergeguard_guard_check]'/*}*/, N'TR') IS NOT NULL
    DROP TRIGGER /*{guard_trigger*/[dbo].[mergeguard_guard_check]/*}*/;
GO

IF OBJECT_ID(N'[mergeguard].[scan_merges]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[scan_merges];
IF OBJECT_ID(N'[mergeguard].[scan_walks]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[scan_walks];
IF OBJECT_ID(N'[mergeguard].[scan_rows]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[scan_rows];
IF OBJECT_ID(N'[mergeguard].[find_rings]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[find_rings];
IF OBJECT_ID(N'[mergeguard].[unmerge_run]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[unmerge_run];
IF OBJECT_ID(N'[mergeguard].[take_back]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[take_back];
IF OBJECT_ID(N'[mergeguard].[restore_row]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[restore_row];
IF OBJECT_ID(N'[mergeguard].[require_undoable]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[require_undoable];
IF OBJECT_ID(N'[mergeguard].[merge_guids]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[merge_guids];
IF OBJECT_ID(N'[mergeguard].[write_black_list]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[write_black_list];
IF OBJECT_ID(N'[mergeguard].[write_merge]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[write_merge];
IF OBJECT_ID(N'[mergeguard].[require_allowed]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[require_allowed];
IF OBJECT_ID(N'[mergeguard].[require_roots]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[require_roots];
IF OBJECT_ID(N'[mergeguard].[write_root]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[write_root];
IF OBJECT_ID(N'[mergeguard].[require_fit]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[require_fit];
IF OBJECT_ID(N'[mergeguard].[rebuild_lookup]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[rebuild_lookup];
IF OBJECT_ID(N'[mergeguard].[write_lookup]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[write_lookup];
IF OBJECT_ID(N'[mergeguard].[take_merge_lock]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[take_merge_lock];
IF OBJECT_ID(N'[mergeguard].[close_walks]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[close_walks];
IF OBJECT_ID(N'[mergeguard].[number_guids]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[number_guids];
IF OBJECT_ID(N'[mergeguard].[move_references]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[move_references];
IF OBJECT_ID(N'[mergeguard].[clear_hashes]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[clear_hashes];
IF OBJECT_ID(N'[mergeguard].[write_moves]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[write_moves];
IF OBJECT_ID(N'[mergeguard].[share_roots]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[share_roots];
IF OBJECT_ID(N'[mergeguard].[survive_table]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[survive_table];
IF OBJECT_ID(N'[mergeguard].[read_held]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[read_held];
IF OBJECT_ID(N'[mergeguard].[put_back]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[put_back];
IF OBJECT_ID(N'[mergeguard].[put_merge]', N'P') IS NOT NULL DROP PROCEDURE [mergeguard].[put_merge];
GO

IF OBJECT_ID(N'[mergeguard].[guid_text]') IS NOT NULL DROP FUNCTION [mergeguard].[guid_text];
IF OBJECT_ID(N'[mergeguard].[merge_lock_name]') IS NOT NULL DROP FUNCTION [mergeguard].[merge_lock_name];
IF OBJECT_ID(N'[mergeguard].[moved_expression]') IS NOT NULL DROP FUNCTION [mergeguard].[moved_expression];
IF OBJECT_ID(N'[mergeguard].[step_digest]') IS NOT NULL DROP FUNCTION [mergeguard].[step_digest];
IF OBJECT_ID(N'[mergeguard].[image_expression]') IS NOT NULL DROP FUNCTION [mergeguard].[image_expression];
IF OBJECT_ID(N'[mergeguard].[image_columns]') IS NOT NULL DROP FUNCTION [mergeguard].[image_columns];
IF OBJECT_ID(N'[mergeguard].[json_cells]') IS NOT NULL DROP FUNCTION [mergeguard].[json_cells];
IF OBJECT_ID(N'[mergeguard].[json_text]') IS NOT NULL DROP FUNCTION [mergeguard].[json_text];
IF OBJECT_ID(N'[mergeguard].[current_guid]') IS NOT NULL DROP FUNCTION [mergeguard].[current_guid];
IF OBJECT_ID(N'[mergeguard].[walk_of]') IS NOT NULL DROP FUNCTION [mergeguard].[walk_of];
GO

IF OBJECT_ID(N'[mergeguard].[rules_checked]', N'V') IS NOT NULL DROP VIEW [mergeguard].[rules_checked];
IF OBJECT_ID(N'[mergeguard].[journal_changes]', N'V') IS NOT NULL DROP VIEW [mergeguard].[journal_changes];
IF OBJECT_ID(N'[mergeguard].[journal_steps]', N'V') IS NOT NULL DROP VIEW [mergeguard].[journal_steps];
IF OBJECT_ID(N'[mergeguard].[journal_runs]', N'V') IS NOT NULL DROP VIEW [mergeguard].[journal_runs];
IF OBJECT_ID(N'[mergeguard].[requests]', N'V') IS NOT NULL DROP VIEW [mergeguard].[requests];
IF OBJECT_ID(N'[mergeguard].[never_pairs]', N'V') IS NOT NULL DROP VIEW [mergeguard].[never_pairs];
IF OBJECT_ID(N'[mergeguard].[roots]', N'V') IS NOT NULL DROP VIEW [mergeguard].[roots];
IF OBJECT_ID(N'[mergeguard].[lookup_rows]', N'V') IS NOT NULL DROP VIEW [mergeguard].[lookup_rows];
IF OBJECT_ID(N'[mergeguard].[declared]', N'V') IS NOT NULL DROP VIEW [mergeguard].[declared];
IF OBJECT_ID(N'[mergeguard].[black_lists]', N'V') IS NOT NULL DROP VIEW [mergeguard].[black_lists];
IF OBJECT_ID(N'[mergeguard].[link_maxima]', N'V') IS NOT NULL DROP VIEW [mergeguard].[link_maxima];
IF OBJECT_ID(N'[mergeguard].[hash_classes]', N'V') IS NOT NULL DROP VIEW [mergeguard].[hash_classes];
IF OBJECT_ID(N'[mergeguard].[hash_table]', N'V') IS NOT NULL DROP VIEW [mergeguard].[hash_table];
IF OBJECT_ID(N'[mergeguard].[moved_ends]', N'V') IS NOT NULL DROP VIEW [mergeguard].[moved_ends];
IF OBJECT_ID(N'[mergeguard].[moved_unique]', N'V') IS NOT NULL DROP VIEW [mergeguard].[moved_unique];
IF OBJECT_ID(N'[mergeguard].[moved_columns]', N'V') IS NOT NULL DROP VIEW [mergeguard].[moved_columns];
IF OBJECT_ID(N'[mergeguard].[moved_tables]', N'V') IS NOT NULL DROP VIEW [mergeguard].[moved_tables];
IF OBJECT_ID(N'[mergeguard].[moving_guids]', N'V') IS NOT NULL DROP VIEW [mergeguard].[moving_guids];
IF OBJECT_ID(N'[mergeguard].[reference_guids]', N'V') IS NOT NULL DROP VIEW [mergeguard].[reference_guids];
IF OBJECT_ID(N'[mergeguard].[guid_types]', N'V') IS NOT NULL DROP VIEW [mergeguard].[guid_types];
IF OBJECT_ID(N'[mergeguard].[live_guids]', N'V') IS NOT NULL DROP VIEW [mergeguard].[live_guids];
IF OBJECT_ID(N'[mergeguard].[merge_rows]', N'V') IS NOT NULL DROP VIEW [mergeguard].[merge_rows];
IF OBJECT_ID(N'[mergeguard].[live_rows]', N'V') IS NOT NULL DROP VIEW [mergeguard].[live_rows];
IF OBJECT_ID(N'[mergeguard].[written_tables]', N'V') IS NOT NULL DROP VIEW [mergeguard].[written_tables];
GO

IF OBJECT_ID(N'[mergeguard].[live_table]', N'SN') IS NOT NULL DROP SYNONYM [mergeguard].[live_table];
IF OBJECT_ID(N'[mergeguard].[merge_table]', N'SN') IS NOT NULL DROP SYNONYM [mergeguard].[merge_table];
GO

-- A role goes with its members taken out of it, and out of those that it is a member of.
DECLARE @role sysname, @member sysname, @sql nvarchar(max);
WHILE 1 = 1
BEGIN
    SELECT TOP (1) @role = r.[name], @member = m.[name]
    FROM sys.database_role_members AS x
    JOIN sys.database_principals AS r ON r.[principal_id] = x.[role_principal_id]
    JOIN sys.database_principals AS m ON m.[principal_id] = x.[member_principal_id]
    WHERE r.[name] IN (N'mergeguard_scan', N'mergeguard_processor', N'mergeguard_repair');
    IF @@ROWCOUNT = 0
        BREAK;
    SET @sql = N'ALTER ROLE ' + QUOTENAME(@role) + N' DROP MEMBER ' + QUOTENAME(@member) + N';';
    EXEC sys.sp_executesql @sql;
END;
IF DATABASE_PRINCIPAL_ID(N'mergeguard_scan') IS NOT NULL DROP ROLE [mergeguard_scan];
IF DATABASE_PRINCIPAL_ID(N'mergeguard_processor') IS NOT NULL DROP ROLE [mergeguard_processor];
IF DATABASE_PRINCIPAL_ID(N'mergeguard_repair') IS NOT NULL DROP ROLE [mergeguard_repair];
GO

-- The schema stays where something of somebody else, or a table of ours, is in it.
IF SCHEMA_ID(N'mergeguard') IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM sys.objects AS o WHERE o.[schema_id] = SCHEMA_ID(N'mergeguard'))
    DROP SCHEMA [mergeguard];
GO
