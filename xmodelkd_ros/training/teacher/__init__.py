"""Training of an image teacher."""
