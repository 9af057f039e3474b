"""``python -m mtfast`` is the command ``mtfast``."""

from mtfast.cli import main

if __name__ == "__main__":
    main()
