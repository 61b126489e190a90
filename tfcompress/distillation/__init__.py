"""Knowledge distillation: teachers, their features, and the loss."""
