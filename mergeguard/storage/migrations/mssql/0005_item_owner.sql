-- Which server of a hierarchy owns an item; NULL where there is one server only, or nobody knows.

ALTER TABLE [dbo].[Item] ADD [OwnerNSGuid] uniqueidentifier NULL;
GO
