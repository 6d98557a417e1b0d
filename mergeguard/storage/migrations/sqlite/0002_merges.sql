-- What makes two resources one. A key merges only where ResourceTypeMergeKey lists it for the type. A resource may have
-- several values of one key. ResourceMerge is a log: one old guid may have several rows, and nothing here forbids a cycle,
-- because the tables that MergeGuard has to read forbid none either.

CREATE TABLE "ResourceTypeMergeKey" (
    "ResourceTypeGuid" TEXT NOT NULL,
    "KeyName" TEXT NOT NULL,
    PRIMARY KEY ("ResourceTypeGuid", "KeyName"),
    FOREIGN KEY ("ResourceTypeGuid") REFERENCES "ResourceType" ("Guid"),
    CHECK (length("ResourceTypeGuid") = 36 AND "ResourceTypeGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ResourceTypeGuid", '-', '')) = 32 AND "ResourceTypeGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE TABLE "ResourceKey" (
    "ResourceGuid" TEXT NOT NULL,
    "KeyName" TEXT NOT NULL,
    "KeyValue" TEXT NOT NULL,
    CHECK (length("ResourceGuid") = 36 AND "ResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ResourceGuid", '-', '')) = 32 AND "ResourceGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_ResourceKey_ResourceGuid" ON "ResourceKey" ("ResourceGuid");

CREATE INDEX "IX_ResourceKey_KeyName_KeyValue" ON "ResourceKey" ("KeyName", "KeyValue");

CREATE TABLE "ResourceMerge" (
    "Id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "OldGuid" TEXT NOT NULL,
    "NewGuid" TEXT NOT NULL,
    "MergedAt" TEXT NOT NULL,
    "MergeKey" TEXT,
    CHECK (length("OldGuid") = 36 AND "OldGuid" LIKE '________-____-____-____-____________'
        AND length(replace("OldGuid", '-', '')) = 32 AND "OldGuid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("NewGuid") = 36 AND "NewGuid" LIKE '________-____-____-____-____________'
        AND length(replace("NewGuid", '-', '')) = 32 AND "NewGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_ResourceMerge_OldGuid" ON "ResourceMerge" ("OldGuid");

CREATE INDEX "IX_ResourceMerge_NewGuid" ON "ResourceMerge" ("NewGuid");
