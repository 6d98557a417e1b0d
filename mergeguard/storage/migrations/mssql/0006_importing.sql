-- What importers need. ResourceTypeHierarchy says which type is derived from which. DataClassColumn lists the columns of
-- each data class in the order in which messages give cells. A class of events may be purged by age and by number of
-- rows. LastEventId and EventId are registration ids of the event queue: the newest datum is the one with the largest, and
-- NULL, which something else wrote, is older than all. AgentBlacklist holds the agents whose resources were merged away.
-- A retired resource is live, and its events are refused.

CREATE TABLE [dbo].[ResourceTypeHierarchy] (
    [ResourceTypeGuid] uniqueidentifier NOT NULL,
    [BaseResourceTypeGuid] uniqueidentifier NOT NULL,
    PRIMARY KEY ([ResourceTypeGuid], [BaseResourceTypeGuid]),
    FOREIGN KEY ([ResourceTypeGuid]) REFERENCES [dbo].[ResourceType] ([Guid]),
    FOREIGN KEY ([BaseResourceTypeGuid]) REFERENCES [dbo].[ResourceType] ([Guid])
);
GO

ALTER TABLE [dbo].[DataClass] ADD [PurgeKeepDays] int NULL;
GO

ALTER TABLE [dbo].[DataClass] ADD [PurgeMaxRows] bigint NULL;
GO

CREATE TABLE [dbo].[DataClassColumn] (
    [DataClassGuid] uniqueidentifier NOT NULL,
    [Ordinal] int NOT NULL,
    [ColumnName] nvarchar(128) NOT NULL,
    [DataType] nvarchar(20) NOT NULL,
    [MaxLength] int NULL,
    [IsNullable] bit NOT NULL,
    [IsKey] bit NOT NULL,
    [IsResource] bit NOT NULL,
    PRIMARY KEY ([DataClassGuid], [Ordinal]),
    UNIQUE ([DataClassGuid], [ColumnName]),
    FOREIGN KEY ([DataClassGuid]) REFERENCES [dbo].[DataClass] ([Guid]),
    CHECK ([DataType] IN (N'text', N'integer', N'number', N'boolean', N'time', N'guid'))
);
GO

ALTER TABLE [dbo].[ResourceUpdateSummary] ADD [LastEventId] bigint NULL;
GO

ALTER TABLE [dbo].[ResourceAssociation] ADD [EventId] bigint NULL;
GO

ALTER TABLE [dbo].[ItemResource] ADD [Status] nvarchar(20) NOT NULL
    CONSTRAINT [DF_ItemResource_Status] DEFAULT N'active'
    CONSTRAINT [CK_ItemResource_Status] CHECK ([Status] IN (N'active', N'retired'));
GO

CREATE TABLE [dbo].[AgentBlacklist] (
    [Guid] uniqueidentifier NOT NULL,
    [BlacklistedAt] datetime2(3) NOT NULL,
    [ReplacedBy] uniqueidentifier NULL,
    PRIMARY KEY ([Guid])
);
GO

CREATE INDEX [IX_Evt_Software_Execution_eventTime] ON [dbo].[Evt_Software_Execution] ([_eventTime]);
GO

INSERT INTO [dbo].[DataClassColumn] ([DataClassGuid], [Ordinal], [ColumnName], [DataType], [MaxLength], [IsNullable], [IsKey], [IsResource]) VALUES
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 0, N'Name', N'text', 250, 1, 0, 0),
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 1, N'Domain', N'text', 250, 1, 0, 0),
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 2, N'OSName', N'text', 250, 1, 0, 0),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 0, N'_SoftwareComponentGuid', N'guid', NULL, 0, 1, 1),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 1, N'InstallFlag', N'integer', NULL, 1, 0, 0),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 0, N'Program', N'text', 250, 1, 0, 0),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 1, N'ExitCode', N'integer', NULL, 1, 0, 0);
GO
