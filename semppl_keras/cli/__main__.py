"""`python -m semppl_keras.cli` is the command `semppl`."""

import sys

from semppl_keras.cli import main

if __name__ == "__main__":
    sys.exit(main())
