"""What the two sides say to each other beside audio: frames out, frames in, and how many (protocol §9)."""
