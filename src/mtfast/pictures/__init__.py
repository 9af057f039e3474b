"""Pictures for people: sheets of captioned tiles, and images with outlines."""
