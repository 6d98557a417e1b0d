-- Which server of a hierarchy owns an item; NULL where there is one server only, or nobody knows.

ALTER TABLE "Item" ADD COLUMN "OwnerNSGuid" TEXT
    CHECK (length("OwnerNSGuid") = 36 AND "OwnerNSGuid" LIKE '________-____-____-____-____________'
        AND length(replace("OwnerNSGuid", '-', '')) = 32 AND "OwnerNSGuid" NOT GLOB '*[^0-9a-f-]*');
