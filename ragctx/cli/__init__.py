"""The command line: parse, call, print. Everything it does is a function of the library.

`ragctx --help` loads no command, and the help of a command no model library, no numpy and no index.
"""
