"""The pages of a subject: its requests, consents, uses, deputies, keys and notices."""
