-- Typed links from a parent to a child. A cardinality of NULL is no limit. The ends are not declared as foreign keys: a
-- merged guid may stand there until somebody remaps it, and finding such rows is what a scan is for.

CREATE TABLE "ResourceAssociationType" (
    "Guid" TEXT NOT NULL,
    "Name" TEXT NOT NULL,
    "MinimumCardinality" INTEGER NOT NULL,
    "MaximumCardinality" INTEGER,
    PRIMARY KEY ("Guid"),
    CHECK (length("Guid") = 36 AND "Guid" LIKE '________-____-____-____-____________'
        AND length(replace("Guid", '-', '')) = 32 AND "Guid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE TABLE "ResourceAssociation" (
    "ResourceAssociationTypeGuid" TEXT NOT NULL,
    "ParentResourceGuid" TEXT NOT NULL,
    "ChildResourceGuid" TEXT NOT NULL,
    "CreatedDate" TEXT NOT NULL,
    FOREIGN KEY ("ResourceAssociationTypeGuid") REFERENCES "ResourceAssociationType" ("Guid"),
    CHECK (length("ResourceAssociationTypeGuid") = 36 AND "ResourceAssociationTypeGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ResourceAssociationTypeGuid", '-', '')) = 32 AND "ResourceAssociationTypeGuid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("ParentResourceGuid") = 36 AND "ParentResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ParentResourceGuid", '-', '')) = 32 AND "ParentResourceGuid" NOT GLOB '*[^0-9a-f-]*'),
    CHECK (length("ChildResourceGuid") = 36 AND "ChildResourceGuid" LIKE '________-____-____-____-____________'
        AND length(replace("ChildResourceGuid", '-', '')) = 32 AND "ChildResourceGuid" NOT GLOB '*[^0-9a-f-]*')
);

CREATE INDEX "IX_ResourceAssociation_ParentResourceGuid" ON "ResourceAssociation" ("ParentResourceGuid");

CREATE INDEX "IX_ResourceAssociation_ChildResourceGuid" ON "ResourceAssociation" ("ChildResourceGuid");
