-- What a resource is. Item keeps a row for every guid that ever was, so that a merged guid still has a name and a
-- type; ItemResource has a row only while the guid is a live resource.

CREATE TABLE "ResourceType" (
    "Guid" uuid NOT NULL,
    "Name" text NOT NULL,
    PRIMARY KEY ("Guid")
);

CREATE TABLE "Item" (
    "Guid" uuid NOT NULL,
    "Name" text NOT NULL,
    "ResourceTypeGuid" uuid,
    "CreatedDate" timestamptz NOT NULL,
    "ModifiedDate" timestamptz NOT NULL,
    PRIMARY KEY ("Guid"),
    FOREIGN KEY ("ResourceTypeGuid") REFERENCES "ResourceType" ("Guid")
);

CREATE TABLE "ItemResource" (
    "Guid" uuid NOT NULL,
    "IsManaged" boolean NOT NULL,
    PRIMARY KEY ("Guid")
);
