"""The pages of the authorisation endpoint, as browsers and clients meet them."""
