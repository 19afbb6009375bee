"""``python -m gateway``: the same as the ``smsbat-gateway`` command."""

from gateway.cli import main

main()
