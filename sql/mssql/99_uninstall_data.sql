-- MergeGuard SQL scripts, version 1: mssql/99_uninstall_data.sql
-- Drops our tables with all that is in them: no merge and no repair can be taken back after this.

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF OBJECT_ID(/*{changes_text*/N'[dbo].[mergeguard_change]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{changes_table*/[dbo].[mergeguard_change]/*}*/;
IF OBJECT_ID(/*{steps_text*/N'[dbo].[mergeguard_step]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{steps_table*/[dbo].[mergeguard_step]/*}*/;
IF OBJECT_ID(/*{runs_text*/N'[dbo].[mergeguard_run]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{runs_table*/[dbo].[mergeguard_run]/*}*/;
IF OBJECT_ID(/*{requests_text*/N'[dbo].[mergeguard_request]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{requests_table*/[dbo].[mergeguard_request]/*}*/;
IF OBJECT_ID(/*{never_text*/N'[dbo].[mergeguard_never]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{never_table*/[dbo].[mergeguard_never]/*}*/;
IF OBJECT_ID(/*{roots_text*/N'[dbo].[mergeguard_root]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{roots_table*/[dbo].[mergeguard_root]/*}*/;
IF OBJECT_ID(/*{lookup_text*/N'[dbo].[mergeguard_lookup]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{lookup_table*/[dbo].[mergeguard_lookup]/*}*/;
IF OBJECT_ID(/*{guard_text*/N'[dbo].[mergeguard_guard]'/*}*/, N'U') IS NOT NULL
    DROP TABLE /*{guard_table*/[dbo].[mergeguard_guard]/*}*/;
GO

IF SCHEMA_ID(N'mergeguard') IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM sys.objects AS o WHERE o.[schema_id] = SCHEMA_ID(N'mergeguard'))
    DROP SCHEMA [mergeguard];
GO
