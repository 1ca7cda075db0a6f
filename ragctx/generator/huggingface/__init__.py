"""Any local Hugging Face causal language model, over a KV cache that is kept between prompts."""
