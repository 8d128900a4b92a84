"""What every network of the package shares: features, transforms, encoders, heads, training, files."""
