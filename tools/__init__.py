"""What the project is made and measured with; see README.md."""
