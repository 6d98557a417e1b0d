"""Merges that are wrong on purpose, each in one way: a check that lets its own pass checks nothing."""
