"""What happens to the operations that open layers compute in their own `call`."""
