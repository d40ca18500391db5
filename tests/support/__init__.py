"""What tests of several rooms share: scripted servers, material, a terminal, a faulty network."""
