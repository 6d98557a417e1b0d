-- MergeGuard SQL scripts, version 1: mssql/90_grants.sql
-- Three roles, without members: mergeguard_scan reads, mergeguard_processor merges, mergeguard_repair takes back as well.
--
-- None of them gets a right on the vendor's tables or on ours: what they do goes through the procedures, which run as the
-- owner of the schema [mergeguard]. The views of that schema and the vendor's tables must have one owner, as with dbo.
-- Then: ALTER ROLE [mergeguard_scan] ADD MEMBER [somebody];

SET ANSI_NULLS ON;
SET QUOTED_IDENTIFIER ON;
GO

IF DATABASE_PRINCIPAL_ID(N'mergeguard_scan') IS NULL
    CREATE ROLE [mergeguard_scan] AUTHORIZATION [dbo];
IF DATABASE_PRINCIPAL_ID(N'mergeguard_processor') IS NULL
    CREATE ROLE [mergeguard_processor] AUTHORIZATION [dbo];
IF DATABASE_PRINCIPAL_ID(N'mergeguard_repair') IS NULL
    CREATE ROLE [mergeguard_repair] AUTHORIZATION [dbo];
GO

-- Reads only.
GRANT EXECUTE ON [mergeguard].[scan_merges] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[rules_checked] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[current_guid] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[lookup_rows] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[merge_rows] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[never_pairs] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[journal_runs] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[journal_steps] TO [mergeguard_scan];
GRANT SELECT ON [mergeguard].[journal_changes] TO [mergeguard_scan];
GO

-- Merges as well.
ALTER ROLE [mergeguard_scan] ADD MEMBER [mergeguard_processor];
GRANT EXECUTE ON [mergeguard].[merge_guids] TO [mergeguard_processor];
GO

-- All of this, and the way back. Who must never be merged is theirs to say.
ALTER ROLE [mergeguard_processor] ADD MEMBER [mergeguard_repair];
GRANT EXECUTE ON [mergeguard].[unmerge_run] TO [mergeguard_repair];
GRANT EXECUTE ON [mergeguard].[rebuild_lookup] TO [mergeguard_repair];
GRANT INSERT, UPDATE, DELETE ON [mergeguard].[never_pairs] TO [mergeguard_repair];
GO
