"""Which type is this: a classifier of types, how it does with few coins, and where it sees the type."""
