-- Each inventory, changed or not, gives these rows the number of its event, and those of one computer stand side by side.
-- With half of a page left free the newer version of a row goes beside the older one, and no index has to be told. Pages
-- that are full by now get their room as their rows move.

ALTER TABLE "ResourceUpdateSummary" SET (fillfactor = 45);

ALTER TABLE "ResourceAssociation" SET (fillfactor = 45);
