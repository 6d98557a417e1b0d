"""The reference event processor: events come in, wait in exact order per source, are handled once, and none is lost."""
