"""The `ocjax` command as `python -m ocjax`."""

from ocjax.cli import main

if __name__ == "__main__":
    main()
