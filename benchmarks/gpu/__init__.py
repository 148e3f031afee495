"""What a GPU makes of archer."""
