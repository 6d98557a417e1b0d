-- Importers take whole numbers of 64 bits; an exit code of Windows such as 0xC0000005 does not fit into 32.

ALTER TABLE [dbo].[Inv_InstalledSoftware] ALTER COLUMN [InstallFlag] bigint NULL;
GO

ALTER TABLE [dbo].[Evt_Software_Execution] ALTER COLUMN [ExitCode] bigint NULL;
GO
