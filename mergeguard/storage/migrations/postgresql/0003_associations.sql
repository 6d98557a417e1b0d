-- Typed links from a parent to a child. A cardinality of NULL is no limit. The ends are not declared as foreign keys: a
-- merged guid may stand there until somebody remaps it, and finding such rows is what a scan is for.

CREATE TABLE "ResourceAssociationType" (
    "Guid" uuid NOT NULL,
    "Name" text NOT NULL,
    "MinimumCardinality" integer NOT NULL,
    "MaximumCardinality" integer,
    PRIMARY KEY ("Guid")
);

CREATE TABLE "ResourceAssociation" (
    "ResourceAssociationTypeGuid" uuid NOT NULL,
    "ParentResourceGuid" uuid NOT NULL,
    "ChildResourceGuid" uuid NOT NULL,
    "CreatedDate" timestamptz NOT NULL,
    FOREIGN KEY ("ResourceAssociationTypeGuid") REFERENCES "ResourceAssociationType" ("Guid")
);

CREATE INDEX "IX_ResourceAssociation_ParentResourceGuid" ON "ResourceAssociation" ("ParentResourceGuid");

CREATE INDEX "IX_ResourceAssociation_ChildResourceGuid" ON "ResourceAssociation" ("ChildResourceGuid");
