"""A model on a server that speaks the OpenAI protocol. No server is asked unless it is named."""
