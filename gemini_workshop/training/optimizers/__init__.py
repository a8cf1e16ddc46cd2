"""What moves the weights: each optimizer written out, and one constructor for all of them."""
