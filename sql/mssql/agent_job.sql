-- MergeGuard: a nightly job for SQL Server Agent. Version 1.
--
-- Makes the job "MergeGuard nightly" with one CmdExec step and NO schedule: nothing runs until somebody adds one.
-- A job of that name that is there already is left exactly as it is. Only msdb is written.
-- Run it as a member of sysadmin or SQLAgentOperatorRole; a CmdExec step of anybody else needs a proxy.
-- The way back: agent_job_uninstall.sql.
--
-- Change the command first. Without a user in the URL the step logs in as the Windows account that it runs as,
-- and no password is needed. What the exit codes mean: docs/reference/exit-codes.md.

USE [msdb];
GO

SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @job sysname = N'MergeGuard nightly';
DECLARE @command nvarchar(max) =
    N'"C:\MergeGuard\Scripts\mergeguard.exe" nightly "mssql+pyodbc://localhost/Symantec_CMDB"'
    + N' --config C:\MergeGuard\mergeguard.toml'
    + N' --history C:\MergeGuard\state\history.db'
    + N' --reports C:\MergeGuard\reports'
    + N' --metrics-file C:\MergeGuard\state\mergeguard.prom';
DECLARE @description nvarchar(512) =
    N'Checks the merge table and writes a report; reads only, unless mergeguard.toml says repair. MergeGuard job, version 1.';
DECLARE @id uniqueidentifier;

BEGIN TRY
    BEGIN TRANSACTION;

    IF EXISTS (SELECT 1 FROM [dbo].[sysjobs_view] WHERE [name] = @job)
        PRINT N'The job "' + @job + N'" is there already and was left as it is.';
    ELSE
    BEGIN
        IF NOT EXISTS (SELECT 1 FROM [dbo].[syscategories] WHERE [name] = N'Database Maintenance' AND [category_class] = 1)
            EXEC [dbo].[sp_add_category] @class = N'JOB', @type = N'LOCAL', @name = N'Database Maintenance';

        EXEC [dbo].[sp_add_job]
            @job_name = @job,
            @enabled = 1,
            @description = @description,
            @category_name = N'Database Maintenance',
            @notify_level_eventlog = 2, -- on failure
            @job_id = @id OUTPUT;

        EXEC [dbo].[sp_add_jobstep]
            @job_id = @id,
            @step_id = 1,
            @step_name = N'scan, remember, report',
            @subsystem = N'CmdExec',
            @command = @command,
            @cmdexec_success_code = 0, -- 1 (findings) fails the step, so that the operator is told
            @on_success_action = 1, -- quit with success
            @on_fail_action = 2, -- quit with failure
            @retry_attempts = 0,
            @flags = 32; -- what it prints goes into the job's history

        EXEC [dbo].[sp_update_job] @job_id = @id, @start_step_id = 1;
        EXEC [dbo].[sp_add_jobserver] @job_id = @id, @server_name = N'(local)';

        PRINT N'The job "' + @job + N'" was made. It has no schedule yet.';
    END;

    COMMIT TRANSACTION;
END TRY
BEGIN CATCH
    IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;
    THROW;
END CATCH;
GO
