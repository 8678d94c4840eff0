"""How fast it is, beside what it could be: `python -m bench`, or `make bench`. See docs/performance.md."""
