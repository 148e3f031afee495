"""The static site of an archive: what `archer report` writes."""
