"""Files that a user names: what is read from them, and how they are written."""
