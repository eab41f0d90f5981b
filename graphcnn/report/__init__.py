"""What is printed: tables, JSON and markdown."""
