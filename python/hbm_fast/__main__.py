"""``python -m hbm_fast``: the same as ``hbm-fast``."""

from hbm_fast.cli import main

main()
