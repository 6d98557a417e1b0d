"""Pure: guid columns, the merge graph, its closure and the rules. No I/O, clock, random, logging or driver."""
