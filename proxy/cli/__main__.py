"""`python -m proxy.cli` is `imgbang`."""

from proxy.cli.main import main

main()
