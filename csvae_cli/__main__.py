"""python -m csvae_cli."""

from csvae_cli.app import run

run()
