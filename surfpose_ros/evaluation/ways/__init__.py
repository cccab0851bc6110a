"""Other ways than ours to get an object's rotation from a trained model and a given box."""
