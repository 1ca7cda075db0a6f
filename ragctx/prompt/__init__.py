"""The prompt: templates, frames and segments of token ids, counted exactly."""
