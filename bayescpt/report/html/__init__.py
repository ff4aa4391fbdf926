"""The HTML report: sections made of blocks, and one template that gives every block its form."""
