"""What a person sees: pages and the front channel, in a headless Chromium."""
