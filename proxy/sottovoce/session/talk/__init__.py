"""What the two sides say to each other beside audio: frames out, frames in, how many, and silence (protocol §9)."""
