"""What becomes of a message: its resources are found, its guids mapped, its data written, all in one transaction."""
