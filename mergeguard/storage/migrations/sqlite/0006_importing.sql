-- What importers need. ResourceTypeHierarchy says which type is derived from which. DataClassColumn lists the columns of
-- each data class in the order in which messages give cells. A class of events may be purged by age and by number of
-- rows. LastEventId and EventId are registration ids of the event queue: the newest datum is the one with the largest, and
-- NULL, which something else wrote, is older than all. AgentBlacklist holds the agents whose resources were merged away.
-- A retired resource is live, and its events are refused.

CREATE TABLE "ResourceTypeHierarchy" (
    "ResourceTypeGuid" TEXT NOT NULL,
    "BaseResourceTypeGuid" TEXT NOT NULL,
    PRIMARY KEY ("ResourceTypeGuid", "BaseResourceTypeGuid"),
    FOREIGN KEY ("ResourceTypeGuid") REFERENCES "ResourceType" ("Guid"),
    FOREIGN KEY ("BaseResourceTypeGuid") REFERENCES "ResourceType" ("Guid"),
    CHECK (length("ResourceTypeGuid") = 36 AND "ResourceTypeGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ResourceTypeGuid", '-', '')) = 32 AND "ResourceTypeGuid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("BaseResourceTypeGuid") = 36 AND "BaseResourceTypeGuid" LIKE '________-____-____-____-____________'
        AND length(replace("BaseResourceTypeGuid", '-', '')) = 32 AND "BaseResourceTypeGuid" NOT GLOB '*[^0-9a-f-]*')
);

ALTER TABLE "DataClass" ADD COLUMN "PurgeKeepDays" INTEGER;

ALTER TABLE "DataClass" ADD COLUMN "PurgeMaxRows" INTEGER;

CREATE TABLE "DataClassColumn" (
    "DataClassGuid" TEXT NOT NULL,
    "Ordinal" INTEGER NOT NULL,
    "ColumnName" TEXT NOT NULL,
    "DataType" TEXT NOT NULL,
    "MaxLength" INTEGER,
    "IsNullable" INTEGER NOT NULL,
    "IsKey" INTEGER NOT NULL,
    "IsResource" INTEGER NOT NULL,
    PRIMARY KEY ("DataClassGuid", "Ordinal"),
    UNIQUE ("DataClassGuid", "ColumnName"),
    FOREIGN KEY ("DataClassGuid") REFERENCES "DataClass" ("Guid"),
    CHECK ("DataType" IN ('text', 'integer', 'number', 'boolean', 'time', 'guid')),
    CHECK (length("DataClassGuid") = 36 AND "DataClassGuid" LIKE '________-____-____-____-____________'
        AND length(replace("DataClassGuid", '-', '')) = 32 AND "DataClassGuid" NOT GLOB '*[^0-9a-f-]*')
);

ALTER TABLE "ResourceUpdateSummary" ADD COLUMN "LastEventId" INTEGER;

ALTER TABLE "ResourceAssociation" ADD COLUMN "EventId" INTEGER;

ALTER TABLE "ItemResource" ADD COLUMN "Status" TEXT NOT NULL DEFAULT 'active' CHECK ("Status" IN ('active', 'retired'));

CREATE TABLE "AgentBlacklist" (
    "Guid" TEXT NOT NULL,
    "BlacklistedAt" TEXT NOT NULL,
    "ReplacedBy" TEXT,
    PRIMARY KEY ("Guid"),
    CHECK (length("Guid") = 36 AND "Guid" LIKE '________-____-____-____-____________'
        AND length(replace("Guid", '-', '')) = 32 AND "Guid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("ReplacedBy") = 36 AND "ReplacedBy" LIKE '________-____-____-____-____________'
        AND length(replace("ReplacedBy", '-', '')) = 32 AND "ReplacedBy" NOT GLOB '*[^0-9a-f-]*')
);

-- Keys are compared without case.
DROP INDEX "IX_ResourceKey_KeyName_KeyValue";

CREATE INDEX "IX_ResourceKey_KeyName_KeyValue" ON "ResourceKey" ("KeyName" COLLATE NOCASE, "KeyValue" COLLATE NOCASE);

CREATE INDEX "IX_Evt_Software_Execution_eventTime" ON "Evt_Software_Execution" ("_eventTime");

INSERT INTO "DataClassColumn" ("DataClassGuid", "Ordinal", "ColumnName", "DataType", "MaxLength", "IsNullable", "IsKey", "IsResource") VALUES
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 0, 'Name', 'text', 250, 1, 0, 0),
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 1, 'Domain', 'text', 250, 1, 0, 0),
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 2, 'OSName', 'text', 250, 1, 0, 0),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 0, '_SoftwareComponentGuid', 'guid', NULL, 0, 1, 1),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 1, 'InstallFlag', 'integer', NULL, 1, 0, 0),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 0, 'Program', 'text', 250, 1, 0, 0),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 1, 'ExitCode', 'integer', NULL, 1, 0, 0);
