-- Which server of a hierarchy owns an item; NULL where there is one server only, or nobody knows.

ALTER TABLE "Item" ADD COLUMN "OwnerNSGuid" uuid;
