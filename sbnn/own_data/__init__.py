"""A user's own tables: read, fitted and shown; tolerant, where the core refuses."""
