"""What is written for readers: the report of a proposal, tables, figures, patches."""
