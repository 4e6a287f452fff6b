"""One page of results: tables, charts, boards."""
