"""A language model small enough to pretrain and fine-tune on one CPU core, with its tokenizer."""
