"""What the engine's own ways gain: `bench engine`, side by side with transformers on the same weights and inputs."""
