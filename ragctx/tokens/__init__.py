"""Tokenizers: one protocol, one module for each kind, and the chat templates of models."""
