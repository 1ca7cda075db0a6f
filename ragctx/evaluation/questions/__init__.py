"""Question sets: made from an index without a model, and checked before they are used."""
