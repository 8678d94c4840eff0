"""From one box to internet scale: traffic, layers, what they cost, and a real fleet to check it against."""
