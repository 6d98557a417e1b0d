-- What a resource is. Item keeps a row for every guid that ever was, so that a merged guid still has a name and a
-- type; ItemResource has a row only while the guid is a live resource.

CREATE TABLE [dbo].[ResourceType] (
    [Guid] uniqueidentifier NOT NULL,
    [Name] nvarchar(250) NOT NULL,
    PRIMARY KEY ([Guid])
);
GO

CREATE TABLE [dbo].[Item] (
    [Guid] uniqueidentifier NOT NULL,
    [Name] nvarchar(250) NOT NULL,
    [ResourceTypeGuid] uniqueidentifier NULL,
    [CreatedDate] datetime2(3) NOT NULL,
    [ModifiedDate] datetime2(3) NOT NULL,
    PRIMARY KEY ([Guid]),
    FOREIGN KEY ([ResourceTypeGuid]) REFERENCES [dbo].[ResourceType] ([Guid])
);
GO

CREATE TABLE [dbo].[ItemResource] (
    [Guid] uniqueidentifier NOT NULL,
    [IsManaged] bit NOT NULL,
    PRIMARY KEY ([Guid])
);
GO
