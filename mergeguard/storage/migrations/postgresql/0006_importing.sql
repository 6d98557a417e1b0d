-- What importers need. ResourceTypeHierarchy says which type is derived from which. DataClassColumn lists the columns of
-- each data class in the order in which messages give cells. A class of events may be purged by age and by number of
-- rows. LastEventId and EventId are registration ids of the event queue: the newest datum is the one with the largest, and
-- NULL, which something else wrote, is older than all. AgentBlacklist holds the agents whose resources were merged away.
-- A retired resource is live, and its events are refused.

CREATE TABLE "ResourceTypeHierarchy" (
    "ResourceTypeGuid" uuid NOT NULL,
    "BaseResourceTypeGuid" uuid NOT NULL,
    PRIMARY KEY ("ResourceTypeGuid", "BaseResourceTypeGuid"),
    FOREIGN KEY ("ResourceTypeGuid") REFERENCES "ResourceType" ("Guid"),
    FOREIGN KEY ("BaseResourceTypeGuid") REFERENCES "ResourceType" ("Guid")
);

ALTER TABLE "DataClass" ADD COLUMN "PurgeKeepDays" integer;

ALTER TABLE "DataClass" ADD COLUMN "PurgeMaxRows" bigint;

CREATE TABLE "DataClassColumn" (
    "DataClassGuid" uuid NOT NULL,
    "Ordinal" integer NOT NULL,
    "ColumnName" text NOT NULL,
    "DataType" text NOT NULL,
    "MaxLength" integer,
    "IsNullable" boolean NOT NULL,
    "IsKey" boolean NOT NULL,
    "IsResource" boolean NOT NULL,
    PRIMARY KEY ("DataClassGuid", "Ordinal"),
    UNIQUE ("DataClassGuid", "ColumnName"),
    FOREIGN KEY ("DataClassGuid") REFERENCES "DataClass" ("Guid"),
    CHECK ("DataType" IN ('text', 'integer', 'number', 'boolean', 'time', 'guid'))
);

ALTER TABLE "ResourceUpdateSummary" ADD COLUMN "LastEventId" bigint;

ALTER TABLE "ResourceAssociation" ADD COLUMN "EventId" bigint;

ALTER TABLE "ItemResource" ADD COLUMN "Status" text NOT NULL DEFAULT 'active' CHECK ("Status" IN ('active', 'retired'));

CREATE TABLE "AgentBlacklist" (
    "Guid" uuid NOT NULL,
    "BlacklistedAt" timestamptz NOT NULL,
    "ReplacedBy" uuid,
    PRIMARY KEY ("Guid")
);

-- Keys are compared without case.
DROP INDEX "IX_ResourceKey_KeyName_KeyValue";

CREATE INDEX "IX_ResourceKey_KeyName_KeyValue" ON "ResourceKey" (lower("KeyName"), lower("KeyValue"));

-- Importers that give the same key to a resource take turns: each inserts the key here and deletes it again, so that the
-- table stays empty and others wait until the transaction ends. Advisory locks would be too many for shared memory.
CREATE UNLOGGED TABLE "mergeguard_key" (
    "key" bigint NOT NULL,
    PRIMARY KEY ("key")
);

CREATE INDEX "IX_Evt_Software_Execution_eventTime" ON "Evt_Software_Execution" ("_eventTime");

INSERT INTO "DataClassColumn" ("DataClassGuid", "Ordinal", "ColumnName", "DataType", "MaxLength", "IsNullable", "IsKey", "IsResource") VALUES
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 0, 'Name', 'text', 250, true, false, false),
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 1, 'Domain', 'text', 250, true, false, false),
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 2, 'OSName', 'text', 250, true, false, false),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 0, '_SoftwareComponentGuid', 'guid', NULL, false, true, true),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 1, 'InstallFlag', 'integer', NULL, true, false, false),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 0, 'Program', 'text', 250, true, false, false),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 1, 'ExitCode', 'integer', NULL, true, false, false);
