"""``python -m coprop``, the same as the command ``coprop``."""

from coprop.cli import main

if __name__ == "__main__":
    main()
