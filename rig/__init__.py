"""What moves and what shines: device drivers, safety, the assembled station and its digital twin."""
