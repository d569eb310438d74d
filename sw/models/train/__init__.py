"""Training of the checkpoint that ships with the project: text, tokenizer, model."""
