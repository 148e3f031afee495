"""What people see on a terminal: console, tables, progress, interruption."""
