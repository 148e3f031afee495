"""Bad contents for everything that archer reads from outside: `python -m benchmarks.bad_files`."""
