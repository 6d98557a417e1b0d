-- Typed links from a parent to a child. A cardinality of NULL is no limit. The ends are not declared as foreign keys: a
-- merged guid may stand there until somebody remaps it, and finding such rows is what a scan is for.

CREATE TABLE [dbo].[ResourceAssociationType] (
    [Guid] uniqueidentifier NOT NULL,
    [Name] nvarchar(250) NOT NULL,
    [MinimumCardinality] int NOT NULL,
    [MaximumCardinality] int NULL,
    PRIMARY KEY ([Guid])
);
GO

CREATE TABLE [dbo].[ResourceAssociation] (
    [ResourceAssociationTypeGuid] uniqueidentifier NOT NULL,
    [ParentResourceGuid] uniqueidentifier NOT NULL,
    [ChildResourceGuid] uniqueidentifier NOT NULL,
    [CreatedDate] datetime2(3) NOT NULL,
    FOREIGN KEY ([ResourceAssociationTypeGuid]) REFERENCES [dbo].[ResourceAssociationType] ([Guid])
);
GO

CREATE INDEX [IX_ResourceAssociation_ParentResourceGuid] ON [dbo].[ResourceAssociation] ([ParentResourceGuid]);
GO

CREATE INDEX [IX_ResourceAssociation_ChildResourceGuid] ON [dbo].[ResourceAssociation] ([ChildResourceGuid]);
GO
