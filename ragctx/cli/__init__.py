"""The command line: parse, call, print. Everything it does is a function of the library.

Importing this package, and every `--help`, load no model library, no numpy and no index.
"""
