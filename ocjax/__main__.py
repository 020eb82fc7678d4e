"""`python -m ocjax` is the `ocjax` command."""

from ocjax.cli import main

if __name__ == "__main__":
    main()
