"""Made-up cells, records, estimators and files, each once, and how results are compared."""
