"""``python -m mergeguard``."""

from mergeguard.cli import main

if __name__ == "__main__":
    main()
