-- Inventory and event data. DataClass is the catalogue: one row a data table. ResourceUpdateSummary says for each class
-- and resource when its rows were loaded and what they hashed to. Three data classes serve as samples: one row a resource,
-- many rows with a second resource guid, and events with their time.

CREATE TABLE "DataClass" (
    "Guid" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "TableName" TEXT NOT NULL,
    "IsMultiRow" INTEGER NOT NULL,
    "IsEvent" INTEGER NOT NULL,
    PRIMARY KEY ("Guid"),
    UNIQUE ("TableName"),
    CHECK (length("Guid") = 36 AND "Guid" LIKE '________-____-____-____-____________'
        AND length(replace("Guid", '-', '')) = 32 AND "Guid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE TABLE "ResourceUpdateSummary" (
    "InventoryClassGuid" TEXT NOT NULL,
    "ResourceGuid" TEXT NOT NULL,
    "CreatedDate" TEXT NOT NULL,
    "ModifiedDate" TEXT NOT NULL,
    "RowCount" INTEGER NOT NULL,
    "SMSForwardDate" TEXT,
    "DataHash" TEXT,
    "DataLastChangedDate" TEXT,
    PRIMARY KEY ("InventoryClassGuid", "ResourceGuid"),
    CHECK (length("InventoryClassGuid") = 36 AND "InventoryClassGuid" LIKE '________-____-____-____-____________'
        AND length(replace("InventoryClassGuid", '-', '')) = 32 AND "InventoryClassGuid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("ResourceGuid") = 36 AND "ResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ResourceGuid", '-', '')) = 32 AND "ResourceGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_ResourceUpdateSummary_ResourceGuid" ON "ResourceUpdateSummary" ("ResourceGuid");

CREATE TABLE "Inv_Identification" (
    "_id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "_ResourceGuid" TEXT NOT NULL,
    "Name" TEXT,
    "Domain" TEXT,
    "OSName" TEXT,
    CHECK (length("_ResourceGuid") = 36 AND "_ResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("_ResourceGuid", '-', '')) = 32 AND "_ResourceGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_Inv_Identification_ResourceGuid" ON "Inv_Identification" ("_ResourceGuid");

CREATE TABLE "Inv_InstalledSoftware" (
    "_id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "_ResourceGuid" TEXT NOT NULL,
    "_SoftwareComponentGuid" TEXT,
    "InstallFlag" INTEGER,
    CHECK (length("_ResourceGuid") = 36 AND "_ResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("_ResourceGuid", '-', '')) = 32 AND "_ResourceGuid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("_SoftwareComponentGuid") = 36 AND "_SoftwareComponentGuid" LIKE '________-____-____-____-____________'
        AND length(replace("_SoftwareComponentGuid", '-', '')) = 32 AND "_SoftwareComponentGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_Inv_InstalledSoftware_ResourceGuid" ON "Inv_InstalledSoftware" ("_ResourceGuid");

CREATE INDEX "IX_Inv_InstalledSoftware_SoftwareComponentGuid" ON "Inv_InstalledSoftware" ("_SoftwareComponentGuid");

CREATE TABLE "Evt_Software_Execution" (
    "_id" INTEGER PRIMARY KEY AUTOINCREMENT,
    "_ResourceGuid" TEXT NOT NULL,
    "_eventTime" TEXT NOT NULL,
    "Program" TEXT,
    "ExitCode" INTEGER,
    CHECK (length("_ResourceGuid") = 36 AND "_ResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("_ResourceGuid", '-', '')) = 32 AND "_ResourceGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_Evt_Software_Execution_ResourceGuid" ON "Evt_Software_Execution" ("_ResourceGuid");

INSERT INTO "DataClass" ("Guid", "Name", "TableName", "IsMultiRow", "IsEvent") VALUES
    ('2b2a934a-b000-57f1-83f0-b840d59f1df2', 'Identification', 'Inv_Identification', 0, 0),
    ('30f0a3d2-e154-5b00-adca-0f1fb7c3d22d', 'Installed software', 'Inv_InstalledSoftware', 1, 0),
    ('bf68ab7f-845c-5eb3-a38a-52ecaac42768', 'Software execution', 'Evt_Software_Execution', 1, 1);
