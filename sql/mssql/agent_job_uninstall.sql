-- MergeGuard: takes back what agent_job.sql made. Version 1.
--
-- Deletes the job "MergeGuard nightly" with its history in msdb, and nothing else: reports, the history file and the
-- scanned database stay as they are. A schedule that other jobs share stays, too.

USE [msdb];
GO

SET NOCOUNT ON;
SET XACT_ABORT ON;

DECLARE @job sysname = N'MergeGuard nightly';

IF EXISTS (SELECT 1 FROM [dbo].[sysjobs_view] WHERE [name] = @job AND [description] LIKE N'%MergeGuard job, version %')
BEGIN
    EXEC [dbo].[sp_delete_job] @job_name = @job, @delete_history = 1, @delete_unused_schedule = 1;
    PRINT N'The job "' + @job + N'" was deleted.';
END
ELSE
    PRINT N'There is no job "' + @job + N'" that MergeGuard made; nothing was changed.';
GO
