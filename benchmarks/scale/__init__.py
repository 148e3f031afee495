"""How the commands do on archives of a thousand to a hundred thousand proposals."""
