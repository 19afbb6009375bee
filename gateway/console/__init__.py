"""What the operator sees and steers, on a listener of its own."""
