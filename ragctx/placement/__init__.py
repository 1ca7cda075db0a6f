"""Placement: the order in which the chosen passages stand in the prompt."""
