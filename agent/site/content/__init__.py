"""What the pages show, as plain values: boards, rows, facts, figures, code and text made safe."""
