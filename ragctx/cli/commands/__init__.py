"""The commands, one module each, named as the user types them."""
