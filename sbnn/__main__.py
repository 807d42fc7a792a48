"""``python -m sbnn`` does the same as the command ``sbnn``."""

import sys

from sbnn.cli import main

if __name__ == "__main__":
    sys.exit(main())
