"""Knowledge distillation: runs teachers, compares features, and computes the loss."""
