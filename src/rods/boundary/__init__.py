"""The capability boundary, read off the rewards that training computes anyway (paper section 5)."""
