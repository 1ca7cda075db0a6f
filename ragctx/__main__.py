"""`python -m ragctx` is `ragctx`."""

from ragctx.cli.program import main

if __name__ == "__main__":
    main()
