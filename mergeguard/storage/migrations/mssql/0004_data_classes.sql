-- Inventory and event data. DataClass is the catalogue: one row a data table. ResourceUpdateSummary says for each class
-- and resource when its rows were loaded and what they hashed to. Three data classes serve as samples: one row a resource,
-- many rows with a second resource guid, and events with their time.

CREATE TABLE [dbo].[DataClass] (
    [Guid] uniqueidentifier NOT NULL,
    [Name] nvarchar(250) NOT NULL,
    [TableName] nvarchar(250) NOT NULL,
    [IsMultiRow] bit NOT NULL,
    [IsEvent] bit NOT NULL,
    PRIMARY KEY ([Guid]),
    UNIQUE ([TableName])
);
GO

CREATE TABLE [dbo].[ResourceUpdateSummary] (
    [InventoryClassGuid] uniqueidentifier NOT NULL,
    [ResourceGuid] uniqueidentifier NOT NULL,
    [CreatedDate] datetime NOT NULL,
    [ModifiedDate] datetime NOT NULL,
    [RowCount] int NOT NULL,
    [SMSForwardDate] datetime NULL,
    [DataHash] char(32) NULL,
    [DataLastChangedDate] datetime NULL,
    PRIMARY KEY ([InventoryClassGuid], [ResourceGuid])
);
GO

CREATE INDEX [IX_ResourceUpdateSummary_ResourceGuid] ON [dbo].[ResourceUpdateSummary] ([ResourceGuid]);
GO

CREATE TABLE [dbo].[Inv_Identification] (
    [_id] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    [_ResourceGuid] uniqueidentifier NOT NULL,
    [Name] nvarchar(250) NULL,
    [Domain] nvarchar(250) NULL,
    [OSName] nvarchar(250) NULL
);
GO

CREATE INDEX [IX_Inv_Identification_ResourceGuid] ON [dbo].[Inv_Identification] ([_ResourceGuid]);
GO

CREATE TABLE [dbo].[Inv_InstalledSoftware] (
    [_id] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    [_ResourceGuid] uniqueidentifier NOT NULL,
    [_SoftwareComponentGuid] uniqueidentifier NULL,
    [InstallFlag] int NULL
);
GO

CREATE INDEX [IX_Inv_InstalledSoftware_ResourceGuid] ON [dbo].[Inv_InstalledSoftware] ([_ResourceGuid]);
GO

CREATE INDEX [IX_Inv_InstalledSoftware_SoftwareComponentGuid] ON [dbo].[Inv_InstalledSoftware] ([_SoftwareComponentGuid]);
GO

CREATE TABLE [dbo].[Evt_Software_Execution] (
    [_id] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    [_ResourceGuid] uniqueidentifier NOT NULL,
    [_eventTime] datetime2(3) NOT NULL,
    [Program] nvarchar(250) NULL,
    [ExitCode] int NULL
);
GO

CREATE INDEX [IX_Evt_Software_Execution_ResourceGuid] ON [dbo].[Evt_Software_Execution] ([_ResourceGuid]);
GO

INSERT INTO [dbo].[DataClass] ([Guid], [Name], [TableName], [IsMultiRow], [IsEvent]) VALUES
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', N'Identification', N'Inv_Identification', 0, 0),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', N'Installed software', N'Inv_InstalledSoftware', 1, 0),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', N'Software execution', N'Evt_Software_Execution', 1, 1);
GO
