-- What makes two resources one. A key merges only where ResourceTypeMergeKey lists it for the type. A resource may have
-- several values of one key. ResourceMerge is a log: one old guid may have several rows, and nothing here forbids a cycle,
-- because the tables that MergeGuard has to read forbid none either.

CREATE TABLE [dbo].[ResourceTypeMergeKey] (
    [ResourceTypeGuid] uniqueidentifier NOT NULL,
    [KeyName] nvarchar(250) NOT NULL,
    PRIMARY KEY ([ResourceTypeGuid], [KeyName]),
    FOREIGN KEY ([ResourceTypeGuid]) REFERENCES [dbo].[ResourceType] ([Guid])
);
GO

CREATE TABLE [dbo].[ResourceKey] (
    [ResourceGuid] uniqueidentifier NOT NULL,
    [KeyName] nvarchar(250) NOT NULL,
    [KeyValue] nvarchar(250) NOT NULL
);
GO

CREATE INDEX [IX_ResourceKey_ResourceGuid] ON [dbo].[ResourceKey] ([ResourceGuid]);
GO

CREATE INDEX [IX_ResourceKey_KeyName_KeyValue] ON [dbo].[ResourceKey] ([KeyName], [KeyValue]);
GO

CREATE TABLE [dbo].[ResourceMerge] (
    [Id] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY,
    [OldGuid] uniqueidentifier NOT NULL,
    [NewGuid] uniqueidentifier NOT NULL,
    [MergedAt] datetime2(3) NOT NULL,
    [MergeKey] nvarchar(250) NULL
);
GO

CREATE INDEX [IX_ResourceMerge_OldGuid] ON [dbo].[ResourceMerge] ([OldGuid]);
GO

CREATE INDEX [IX_ResourceMerge_NewGuid] ON [dbo].[ResourceMerge] ([NewGuid]);
GO
