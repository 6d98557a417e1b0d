-- What a resource is. Item keeps a row for every guid that ever was, so that a merged guid still has a name and a
-- type; ItemResource has a row only while the guid is a live resource.

CREATE TABLE "ResourceType" (
    "Guid" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    PRIMARY KEY ("Guid"),
    CHECK (length("Guid") = 36 AND "Guid" LIKE '________-____-____-____-____________'
        AND length(replace("Guid", '-', '')) = 32 AND "Guid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE TABLE "Item" (
    "Guid" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "ResourceTypeGuid" TEXT,
    "CreatedDate" TEXT NOT NULL,
    "ModifiedDate" TEXT NOT NULL,
    PRIMARY KEY ("Guid"),
    FOREIGN KEY ("ResourceTypeGuid") REFERENCES "ResourceType" ("Guid"),
    CHECK (length("Guid") = 36 AND "Guid" LIKE '________-____-____-____-____________'
        AND length(replace("Guid", '-', '')) = 32 AND "Guid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("ResourceTypeGuid") = 36 AND "ResourceTypeGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ResourceTypeGuid", '-', '')) = 32 AND "ResourceTypeGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE TABLE "ItemResource" (
    "Guid" TEXT NOT NULL,
    "IsManaged" INTEGER NOT NULL,
    PRIMARY KEY ("Guid"),
    CHECK (length("Guid") = 36 AND "Guid" LIKE '________-____-____-____-____________'
        AND length(replace("Guid", '-', '')) = 32 AND "Guid" NOT GLOB '*[^0-9a-f-]*')
);
