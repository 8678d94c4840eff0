"""`python -m proxy.cli` is `imgbang`."""

from proxy.cli import main

main()
