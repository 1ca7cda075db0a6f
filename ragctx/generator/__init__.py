"""Generators: token ids in, token ids out. One package for each kind of model, one protocol."""
