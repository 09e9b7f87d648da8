"""Lets `python -m ragweave` do what the `ragweave` command does."""

from ragweave.cli import main

if __name__ == "__main__":
    main()
