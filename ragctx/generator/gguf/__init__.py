"""A GGUF file as a model: a llama.cpp server that is installed here is started with it."""
