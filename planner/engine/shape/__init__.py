"""What a model is made of: parameters counted part by part, from a config or an explicit shape."""
