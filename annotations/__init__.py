"""What people and models said about images. Knows no torch, no page."""
