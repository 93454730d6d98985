"""What a catalogue is made of, as people have it: tables, manifests, scanned pages."""
