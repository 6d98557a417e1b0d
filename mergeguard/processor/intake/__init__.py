"""How events come in: by HTTP and by folders; a sender is told so only when its event is safe."""
